//! Lists that are filtered and sorted by what is asked of them.
//!
//! The database narrows and orders by exact predicates, which declared indexes and the items' own columns answer; the
//! whole filter is then evaluated again on every row that comes back. So an index makes an answer sooner and never
//! another one. What no index answers is evaluated row by row, within a budget.

mod algebra;
mod column;
mod count;
mod everyone;
mod explain;
mod finder;
mod ground;
mod key_test;
mod limits;
mod order;
mod own;
mod place;
mod served;
mod sift;
mod statement;
mod table;
mod term;
mod user_channels;
mod whole;

use sea_orm::DatabaseConnection;

pub(crate) use everyone::Everyone;
pub use explain::Explain;
pub use limits::Limits;
pub(crate) use table::Listed;
pub(crate) use user_channels::user_channels;
pub(crate) use whole::{affordable, count};

use self::{
    explain::Gap,
    finder::Finder,
    ground::Ground,
    order::Order,
    own::OwnTerm,
    place::Question,
    served::Served,
    table::Row,
    term::{Term, conjuncts},
};
use crate::{
    attribute_indexes::{self, Covered, Declared},
    attributes::Scalar,
    channels::PUBLIC,
    ctx::Ctx,
    error::{Error, Result},
    filter::{Field, Filter, Sort, Subject, Test},
    paging::{self, Key, Page, PageRequest},
    sid::{AttributeIndexSid, ChannelSid, ServiceSid},
};

/// How often a page is read again because an index that it was read from has gone meanwhile.
const ATTEMPTS: usize = 3;

/// What is asked of a list beside its page.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `Filter`: a JSON object.
    pub filter: Option<String>,
    /// `Sort`: a JSON list.
    pub sort: Option<String>,
    /// `Explain`.
    pub explain: bool,
}

impl Asked {
    /// Whether nothing is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.filter.is_none() && self.sort.is_none() && !self.explain
    }
}

/// A page of a list, and how it was found when that was asked for.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// The page.
    pub page: Page<T>,
    /// How it was found.
    pub explain: Option<Explain>,
}

impl<T> From<Page<T>> for Listing<T> {
    fn from(page: Page<T>) -> Self {
        Self { page, explain: None }
    }
}

/// The items that a list is about, before anything is asked of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bounds {
    channel: Option<ChannelSid>,
    terms: Vec<Term>,
}

impl Bounds {
    /// Those of this channel.
    pub(crate) fn in_channel(mut self, channel: ChannelSid) -> Self {
        self.channel = Some(channel);
        self
    }

    /// Those that have one of these texts in a field of their own.
    pub(crate) fn with<T: Listed>(mut self, field: &str, texts: impl IntoIterator<Item = String>) -> Self {
        if let Some(field) = T::TABLE.subject.field(field) {
            let choices = texts.into_iter().map(|text| Some(Scalar::Text(text))).collect();
            self.terms
                .push(Term::Own(OwnTerm::of(field, &Test::OneOf(choices))));
        }
        self
    }

    /// Those that have nothing in a field of their own.
    pub(crate) fn without<T: Listed>(mut self, field: &str) -> Self {
        if let Some(field) = T::TABLE.subject.field(field) {
            self.terms.push(Term::Own(OwnTerm::null(field, true)));
        }
        self
    }

    /// Channels that this user sees: public ones, and those that it is a member of.
    pub(crate) fn seen_by(mut self, identity: &str) -> Self {
        let public = Test::Equals(Some(Scalar::Text(PUBLIC.to_owned())));
        let public = crate::filter::CHANNELS
            .field("type")
            .map(|field| Term::Own(OwnTerm::of(field, &public)));
        let joined = Term::Joined(identity.to_owned());
        self.terms
            .push(Term::Any(public.into_iter().chain([joined]).collect()));
        self
    }
}

/// One page of what is asked.
///
/// # Errors
/// 20001 naming `Filter`, `Sort` or `PageToken`, also when more items would have to be read one by one than the
/// operator allows.
pub(crate) async fn run<T: Listed>(
    ctx: &Ctx,
    bounds: &Bounds,
    asked: &Asked,
    request: &PageRequest,
) -> Result<Listing<T>> {
    for _ in 0..ATTEMPTS {
        let (mut filter, mut sort) = parsed(asked, T::TABLE.subject)?;
        let declared = declared(ctx.reader(), ctx.scope(), T::COVERED, &filter, &sort).await?;
        filter.settle(&declared);
        sort.settle(&declared);
        let question = Question::of(
            T::TABLE.name,
            asked.filter.as_deref(),
            asked.sort.as_deref(),
            &sort,
        );
        let attempt = Attempt {
            ctx,
            ground: Ground {
                table: T::TABLE,
                backend: ctx.core.db.backend(),
                service: ctx.scope(),
                channel: bounds.channel,
            },
            filter: &filter,
            sort: &sort,
            declared: &declared,
            question,
        };
        let (page, explain, used) = attempt.page::<T>(bounds, request).await?;
        if still_ready(ctx.reader(), ctx.scope(), T::COVERED, &used).await? {
            return Ok(Listing {
                page,
                explain: asked.explain.then_some(explain),
            });
        }
    }
    Err(Error::unavailable("declared indexes come and go too fast"))
}

/// The indexes that are declared over the resource, when any attribute is asked for.
async fn declared(
    db: &DatabaseConnection,
    service: ServiceSid,
    covered: Covered,
    filter: &Filter,
    sort: &Sort,
) -> Result<Vec<Declared>> {
    let mut asked = sort
        .0
        .iter()
        .any(|by| matches!(by.field, Field::Attribute { .. }));
    filter.conditions(&mut |condition| asked |= matches!(condition.field, Field::Attribute { .. }));
    if asked {
        attribute_indexes::declared(db, service, covered).await
    } else {
        Ok(Vec::new())
    }
}

/// Whether the indexes that were read still are whole: one that is taken down loses its entries.
async fn still_ready(
    db: &DatabaseConnection,
    service: ServiceSid,
    covered: Covered,
    used: &[AttributeIndexSid],
) -> Result<bool> {
    if used.is_empty() {
        return Ok(true);
    }
    let now = attribute_indexes::declared(db, service, covered).await?;
    Ok(used
        .iter()
        .all(|id| now.iter().any(|index| index.id == *id && index.ready)))
}

/// Reads what is asked.
fn parsed(asked: &Asked, subject: &'static Subject) -> Result<(Filter, Sort)> {
    let filter = match &asked.filter {
        Some(text) => Filter::parse(text, subject)?,
        None => Filter::everything(),
    };
    let sort = match &asked.sort {
        Some(text) => Sort::parse(text, subject)?,
        None => Sort::default(),
    };
    Ok((filter, sort))
}

/// What is asked, with the indexes as they are.
struct Attempt<'a> {
    ctx: &'a Ctx,
    ground: Ground,
    filter: &'a Filter,
    sort: &'a Sort,
    declared: &'a [Declared],
    question: Question,
}

impl Attempt<'_> {
    async fn page<T: Listed>(
        &self,
        bounds: &Bounds,
        request: &PageRequest,
    ) -> Result<(Page<T>, Explain, Vec<AttributeIndexSid>)> {
        let backward = request.is_backward();
        let marked = place::marked(self.question, self.sort, request)?;
        let order = Order::of(self.sort, self.declared, backward);
        let order = order.unwrap_or_else(|| Order::in_memory(backward));
        let size = usize::try_from(request.size).unwrap_or(usize::MAX);
        let finder = |behind| {
            Finder::new(
                self.ctx.reader(),
                &self.ground,
                (self.filter, self.sort),
                &order,
                behind,
                size + 1,
                self.ctx.core.settings.lists,
            )
        };
        let behind = match marked {
            None => None,
            Some(marked) => Some(match marked.whole() {
                Some(place) => place,
                None => marked.resolve(finder(None).place_of::<T>(marked.id).await?)?,
            }),
        };
        let mut finder = finder(behind.as_ref());

        let served = Served::of(self.filter, self.declared);
        let mut terms = conjuncts(served.term);
        terms.extend(bounds.terms.iter().cloned());
        let mut used = Vec::new();
        terms.iter().for_each(|term| term.indexes(&mut used));
        let budget = self.ctx.core.settings.lists.scan_budget;
        let unsorted = Gap::in_sort(self.sort, self.declared);
        let gap = if served.exact && unsorted.is_none() {
            None
        } else {
            Gap::in_filter(self.filter, self.declared).or(unsorted)
        };
        let (rows, explain) = match gap {
            None => {
                order.indexes(&mut used);
                used.sort_unstable();
                used.dedup();
                let rows = finder.page::<T>(terms).await?;
                let told = Explain::exact(&finder.trace, used.clone(), &order, self.ground.table, budget);
                (rows, told)
            }
            Some(gap) => {
                used.sort_unstable();
                used.dedup();
                let Some(rows) = finder.scan::<T>(&terms).await? else {
                    let (table, declared) = (self.ground.table, self.declared);
                    return Err(gap
                        .refusal(self.ctx, table, self.filter, declared, budget)
                        .await?);
                };
                let sorted = !self.sort.0.is_empty();
                let told = Explain::scan(&finder.trace, used.clone(), &gap.name(), sorted, budget);
                (rows, told)
            }
        };
        let place = |row: &Row<T>| Key::Place(place::encode(self.question, &row.place));
        let page = paging::cut(request, rows, place).map(|row| row.model);
        Ok((page, explain, used))
    }
}
