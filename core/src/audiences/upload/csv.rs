//! Rows of CSV (RFC 4180): cells in quotes may have commas, quotes and ends of lines in them.

use csv_core::{ReadRecordResult, Reader};
use serde_json::Value;

use super::{
    ROW_BYTES, Read,
    rows::{Row, identity, rejected},
};
use crate::{
    error::{Error, Result},
    users::Setting,
};

/// The most columns.
const COLUMNS: usize = 256;
/// The longest name of a column, in characters.
const NAME: usize = 512;
/// The column that every upload has.
const IDENTITY: &str = "identity";

/// Reads rows from bytes as they come.
pub(super) struct CsvRows {
    core: Reader,
    columns: Option<Columns>,
    cells: Vec<u8>,
    ends: Vec<usize>,
    /// How much of them the row fills so far.
    filled: (usize, usize),
    too_long: bool,
    /// The line that the next byte is in.
    line: u64,
    after_return: bool,
    /// The line that the row begins in; `None` between rows.
    began: Option<u64>,
}

struct Columns {
    identity: usize,
    /// Into which attribute the cells of each column go; none for the identities'.
    paths: Vec<Vec<String>>,
}

impl Default for CsvRows {
    fn default() -> Self {
        Self {
            core: Reader::new(),
            columns: None,
            cells: vec![0; ROW_BYTES],
            ends: vec![0; COLUMNS + 1],
            filled: (0, 0),
            too_long: false,
            line: 1,
            after_return: false,
            began: None,
        }
    }
}

impl CsvRows {
    /// Takes the next bytes in.
    ///
    /// # Errors
    /// 20001 when they are of a header that cannot be used.
    pub(super) fn feed(&mut self, bytes: &[u8], read: &mut Vec<Read>) -> Result<()> {
        let mut rest = bytes;
        while let Some(&first) = rest.first() {
            if self.began.is_none() {
                if matches!(first, b'\r' | b'\n') {
                    self.pass(first);
                    rest = &rest[1..];
                    continue;
                }
                self.began = Some(self.line);
            }
            let (result, taken) = self.step(rest);
            for byte in &rest[..taken] {
                self.pass(*byte);
            }
            rest = &rest[taken..];
            if self.is_complete(&result) {
                self.row(read)?;
            }
        }
        Ok(())
    }

    /// There is no more.
    ///
    /// # Errors
    /// 20001 when there was no header.
    pub(super) fn finish(&mut self, read: &mut Vec<Read>) -> Result<()> {
        while self.began.is_some() {
            let (result, _) = self.step(&[]);
            if self.is_complete(&result) || matches!(result, ReadRecordResult::End) {
                self.row(read)?;
            }
        }
        match self.columns {
            Some(_) => Ok(()),
            None => Err(unusable("it is missing")),
        }
    }

    fn step(&mut self, bytes: &[u8]) -> (ReadRecordResult, usize) {
        let (cells, ends) = self.filled;
        let (result, taken, written, ended) =
            self.core
                .read_record(bytes, &mut self.cells[cells..], &mut self.ends[ends..]);
        self.filled = (cells + written, ends + ended);
        (result, taken)
    }

    fn is_complete(&mut self, result: &ReadRecordResult) -> bool {
        match result {
            ReadRecordResult::Record => true,
            ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                // It is read to its end and not kept.
                self.too_long = true;
                self.filled = (0, 0);
                false
            }
            ReadRecordResult::InputEmpty | ReadRecordResult::End => false,
        }
    }

    fn pass(&mut self, byte: u8) {
        if byte == b'\r' || byte == b'\n' && !self.after_return {
            self.line += 1;
        }
        self.after_return = byte == b'\r';
    }

    /// The row that is complete.
    fn row(&mut self, read: &mut Vec<Read>) -> Result<()> {
        let line = self.began.take().unwrap_or(self.line);
        let too_long = std::mem::take(&mut self.too_long);
        let (_, count) = std::mem::take(&mut self.filled);
        let Some(columns) = &self.columns else {
            if too_long {
                return Err(unusable(&format!(
                    "it is longer than {ROW_BYTES} bytes or has more than {COLUMNS} columns"
                )));
            }
            self.columns = Some(Columns::of(
                &self.texts(count).ok_or_else(|| unusable("it is not UTF-8"))?,
            )?);
            return Ok(());
        };
        read.push(if too_long {
            Err(rejected(
                line,
                format!(
                    "the row is longer than {ROW_BYTES} bytes or has more than {COLUMNS} cells; is a quote left open?"
                ),
            ))
        } else {
            match self.texts(count) {
                Some(cells) => columns.read(line, &cells),
                None => Err(rejected(line, "the row is not UTF-8")),
            }
        });
        Ok(())
    }

    fn texts(&self, count: usize) -> Option<Vec<&str>> {
        let mut from = 0;
        self.ends[..count]
            .iter()
            .map(|&end| {
                let cell = self.cells.get(from..end)?;
                from = end;
                std::str::from_utf8(cell).ok()
            })
            .collect()
    }
}

fn unusable(why: &str) -> Error {
    Error::parameter(
        "The header",
        &format!("in line 1 cannot be used: {why}; it must name the columns, such as identity,city,plan"),
    )
}

impl Columns {
    fn of(names: &[&str]) -> Result<Self> {
        let names: Vec<&str> = names.iter().map(|name| name.trim()).collect();
        let identity = names
            .iter()
            .position(|name| *name == IDENTITY)
            .ok_or_else(|| unusable("it has no column identity"))?;
        for (place, name) in names.iter().enumerate() {
            if name.is_empty() || name.chars().count() > NAME || name.contains('\0') {
                let place = place + 1;
                return Err(unusable(&format!(
                    "column {place} has no name that could be an attribute's"
                )));
            }
            if names[..place].contains(name) {
                return Err(unusable(&format!("the column '{name}' is there twice")));
            }
        }
        // A dot leads into an object, as in filters.
        let path = |name: &&str| -> Vec<String> {
            let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
            if parts.iter().any(String::is_empty) {
                vec![(*name).to_owned()]
            } else {
                parts
            }
        };
        Ok(Self {
            identity,
            paths: names.iter().map(path).collect(),
        })
    }

    fn read(&self, line: u64, cells: &[&str]) -> Read {
        if cells.len() != self.paths.len() {
            return Err(rejected(
                line,
                format!(
                    "the row has {} cells, the header has {}",
                    cells.len(),
                    self.paths.len()
                ),
            ));
        }
        let settings = self
            .paths
            .iter()
            .zip(cells)
            .enumerate()
            .filter(|(place, (_, cell))| *place != self.identity && !cell.is_empty())
            .map(|(_, (path, cell))| Setting {
                path: path.clone(),
                value: Value::from(*cell),
            })
            .collect();
        Ok(Row {
            line,
            identity: identity(line, cells[self.identity])?,
            settings,
        })
    }
}
