//! Uploading a list: it is read as it arrives and stored some hundred rows at a time, so that its length does not
//! matter. A row that is wrong is told of by its line and stops none of the others.

mod csv;
mod lines;
mod rows;
mod store;

use serde::Serialize;
use utoipa::ToSchema;

use self::{csv::CsvRows, lines::JsonLines, rows::Row};
use super::get;
use crate::{
    ctx::Ctx,
    error::{Error, ErrorCode, Result},
    sid::AudienceSid,
};

/// How many rows one transaction stores.
const BATCH: usize = 500;
/// How many of the rows that were not taken are told of one by one.
const TOLD: usize = 1000;
/// The longest row, in bytes.
const ROW_BYTES: usize = 65_536;
/// How often a batch is tried when the database is busy.
const ATTEMPTS: usize = 3;
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What an upload is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `text/csv`: the first row names the columns, one of which is `identity`.
    Csv,
    /// `application/x-ndjson`: a JSON object a line.
    JsonLines,
}

impl Format {
    /// The one of this media type.
    #[must_use]
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            "text/csv" => Some(Self::Csv),
            "application/x-ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }
}

/// A row that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = RejectedRow)]
pub struct Rejected {
    /// The line that it begins in, from 1, the header included.
    pub line: u64,
    /// Why.
    pub message: String,
}

/// What became of an upload.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[schema(as = UploadReport)]
pub struct Report {
    /// How many rows were taken.
    pub accepted: u64,
    /// The first thousand rows that were not, in their order.
    pub rejected: Vec<Rejected>,
    /// How many were not.
    pub rejected_count: u64,
}

impl Report {
    fn reject(&mut self, rejected: Rejected) {
        self.rejected_count += 1;
        if self.rejected.len() < TOLD {
            self.rejected.push(rejected);
        }
    }
}

/// What reading came to: a row, or why it is none.
type Read = std::result::Result<Row, Rejected>;

enum Reader {
    Csv(Box<CsvRows>),
    JsonLines(JsonLines),
}

/// An upload as it arrives. What was stored stays, whatever comes later.
pub struct Upload {
    ctx: Ctx,
    audience: AudienceSid,
    reader: Reader,
    /// The first bytes, until there are enough to tell whether they are a mark of their order.
    head: Option<Vec<u8>>,
    read: Vec<Read>,
    report: Report,
}

impl Upload {
    /// Begins one.
    ///
    /// # Errors
    /// 20404; 20409 when the audience is a filter; 20006 for users.
    pub async fn begin(ctx: &Ctx, audience: AudienceSid, format: Format) -> Result<Self> {
        let row = get(ctx, audience).await?;
        if row.filter.is_some() {
            return Err(Error::with(
                ErrorCode::Conflict,
                format!("Audience {audience} is a filter and takes no list; make one without Filter"),
            ));
        }
        Ok(Self {
            ctx: ctx.clone(),
            audience,
            reader: match format {
                Format::Csv => Reader::Csv(Box::default()),
                Format::JsonLines => Reader::JsonLines(JsonLines::default()),
            },
            head: Some(Vec::new()),
            read: Vec::new(),
            report: Report::default(),
        })
    }

    /// Takes the next bytes in, and stores what is complete.
    ///
    /// # Errors
    /// 20001 when the header has no `identity` or cannot be used; 20404 when the audience was deleted meanwhile; 20503
    /// when the database is away.
    pub async fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(mut head) = self.head.take() else {
            return self.take_in(bytes).await;
        };
        head.extend_from_slice(bytes);
        if head.len() < BOM.len() && BOM.starts_with(&head) {
            self.head = Some(head);
            return Ok(());
        }
        let rest = head.strip_prefix(BOM).unwrap_or(&head);
        self.take_in(rest).await
    }

    /// There is no more.
    ///
    /// # Errors
    /// As [`Upload::feed`]; 20001 also when there was no header.
    pub async fn finish(mut self) -> Result<Report> {
        if let Some(head) = self.head.take() {
            self.take_in(&head).await?;
        }
        match &mut self.reader {
            Reader::Csv(rows) => rows.finish(&mut self.read)?,
            Reader::JsonLines(lines) => lines.finish(&mut self.read),
        }
        self.store().await?;
        self.report.rejected.sort_by_key(|rejected| rejected.line);
        Ok(self.report)
    }

    async fn take_in(&mut self, bytes: &[u8]) -> Result<()> {
        for piece in bytes.chunks(ROW_BYTES) {
            match &mut self.reader {
                Reader::Csv(rows) => rows.feed(piece, &mut self.read)?,
                Reader::JsonLines(lines) => lines.feed(piece, &mut self.read),
            }
            if self.read.len() >= BATCH {
                self.store().await?;
            }
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<()> {
        let (mut rows, mut attempts) = (Vec::with_capacity(BATCH), 0);
        for read in self.read.drain(..) {
            match read {
                Ok(row) => rows.push(row),
                Err(rejected) => self.report.reject(rejected),
            }
        }
        for batch in rows.chunks(BATCH) {
            let refused = loop {
                attempts += 1;
                match store::store(&self.ctx, self.audience, batch).await {
                    Err(error) if error.code() == ErrorCode::Unavailable && attempts < ATTEMPTS => {}
                    outcome => break outcome?,
                }
            };
            self.report.accepted += (batch.len() - refused.len()) as u64;
            for rejected in refused {
                self.report.reject(rejected);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
