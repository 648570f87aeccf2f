//! The manners of the 2010-04-01 API: dates of RFC 2822, pages with relative URIs beside the items.

use hubbub_core::paging::Page;
use serde::Serialize;
use utoipa::ToSchema;

use crate::paging::Paging;

/// Where a page stands in its list.
#[derive(Serialize, ToSchema)]
#[schema(as = LegacyPage)]
pub(crate) struct LegacyMeta {
    /// Its number, from 0.
    page: u64,
    page_size: u64,
    /// The place of its first item, were all pages full.
    start: u64,
    /// The place of its last item, were all pages full.
    end: u64,
    uri: String,
    first_page_uri: String,
    previous_page_uri: Option<String>,
    next_page_uri: Option<String>,
}

impl LegacyMeta {
    /// What stands beside the items of `page`.
    pub(crate) fn of<T>(paging: &Paging, page: &Page<T>) -> Self {
        let page_size = paging.request.size;
        let start = paging.number().saturating_mul(page_size);
        Self {
            page: paging.number(),
            page_size,
            start,
            end: start.saturating_add((page.items.len() as u64).saturating_sub(1)),
            uri: paging.own(),
            first_page_uri: paging.first(),
            previous_page_uri: paging.previous(page),
            next_page_uri: paging.next(page),
        }
    }
}
