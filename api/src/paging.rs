//! Pages on the wire. Their URLs are followed verbatim, so they are absolute and keep the filters.

use hubbub_core::{
    BaseUrl, Error, Result,
    paging::{DEFAULT_SIZE, Page, PageRequest, PageToken},
};
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, ToSchema,
    openapi::{
        Required,
        path::{Parameter, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
    },
};

use crate::params::Params;

/// The largest page of most lists.
pub(crate) const MAX_SIZE: u64 = 100;
const OWN_PARAMETERS: [&str; 3] = ["PageSize", "Page", "PageToken"];

/// Which page of a list whose pages have at most `MOST` items.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct PageParams<const MOST: u64 = MAX_SIZE> {
    page_size: Option<String>,
    page: Option<String>,
    page_token: Option<String>,
}

impl<const MOST: u64> IntoParams for PageParams<MOST> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let number = || ObjectBuilder::new().schema_type(Type::Integer);
        let text = ObjectBuilder::new().schema_type(Type::String);
        // Without bounds: what is beyond them is clamped and not refused.
        let size = number().default(Some(DEFAULT_SIZE.min(MOST).into()));
        [
            (
                "PageSize",
                format!("How many items; sizes over {MOST} count as {MOST}."),
                size,
            ),
            (
                "Page",
                "The page's number, for the client's own use.".to_owned(),
                number().minimum(Some(0)),
            ),
            (
                "PageToken",
                "Where the page begins: from the URLs in `meta`.".to_owned(),
                text,
            ),
        ]
        .map(|(name, description, schema)| {
            ParameterBuilder::new()
                .name(name)
                .parameter_in(ParameterIn::Query)
                .description(Some(description))
                .required(Required::False)
                .schema(Some(schema))
                .build()
        })
        .into()
    }
}

/// A page that is asked for, and what is needed to name its neighbours.
pub(crate) struct Paging {
    /// For the domain.
    pub(crate) request: PageRequest,
    asked_size: String,
    number: u64,
    token: Option<String>,
    base: BaseUrl,
    path: String,
    /// The other parameters, as they came in.
    filters: String,
}

impl Paging {
    /// Reads the query of a list at `path`, whose pages have at most `most` items.
    ///
    /// # Errors
    /// 20001 naming `PageSize`, `Page` or `PageToken`.
    pub(crate) fn new(base: &BaseUrl, path: &str, query: &str, most: u64) -> Result<Self> {
        let given: PageParams = Params::from_form(query.as_bytes())?.read()?;
        let asked: i128 = match &given.page_size {
            Some(text) => text
                .parse()
                .map_err(|_| Error::parameter("PageSize", &format!("must be a whole number, 1 to {most}")))?,
            None => DEFAULT_SIZE.min(most).into(),
        };
        let number = match &given.page {
            Some(text) => text
                .parse()
                .map_err(|_| Error::parameter("Page", "must be a whole number of 0 or more"))?,
            None => 0,
        };
        let is_filter = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            !pair.is_empty() && !OWN_PARAMETERS.contains(&name)
        };
        Ok(Self {
            request: PageRequest {
                size: u64::try_from(asked.clamp(1, most.into())).unwrap_or(DEFAULT_SIZE),
                token: given.page_token.as_deref().map(PageToken::decode).transpose()?,
            },
            asked_size: asked.to_string(),
            number,
            token: given.page_token,
            base: base.clone(),
            path: path.to_owned(),
            filters: query
                .split('&')
                .filter(is_filter)
                .map(|pair| format!("{pair}&"))
                .collect(),
        })
    }

    /// What stands beside the items under `key`, and the items as `view` shows them.
    pub(crate) fn answer<T, V>(
        &self,
        key: &'static str,
        page: &Page<T>,
        view: impl Fn(&T) -> V,
    ) -> (Meta, Vec<V>) {
        let absolute = |relative: String| format!("{}{relative}", self.base);
        let meta = Meta {
            page: self.number,
            page_size: self.request.size,
            first_page_url: absolute(self.first()),
            previous_page_url: self.previous(page).map(absolute),
            url: absolute(self.own()),
            next_page_url: self.next(page).map(absolute),
            key,
        };
        (meta, page.items.iter().map(view).collect())
    }

    /// The page's number.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// This page, without the base. The size stays as it was asked for.
    pub(crate) fn own(&self) -> String {
        self.at(&self.asked_size, self.number, self.token.as_deref())
    }

    /// The first page, without the base.
    pub(crate) fn first(&self) -> String {
        self.at(&self.request.size.to_string(), 0, None)
    }

    /// The page behind, without the base.
    pub(crate) fn next<T>(&self, page: &Page<T>) -> Option<String> {
        self.neighbour(self.number.saturating_add(1), page.next.as_ref())
    }

    /// The page before, without the base.
    pub(crate) fn previous<T>(&self, page: &Page<T>) -> Option<String> {
        self.neighbour(self.number.saturating_sub(1), page.previous.as_ref())
    }

    fn neighbour(&self, number: u64, token: Option<&PageToken>) -> Option<String> {
        let token = token?.encode();
        Some(self.at(&self.request.size.to_string(), number, Some(&token)))
    }

    fn at(&self, size: &str, number: u64, token: Option<&str>) -> String {
        let Self { path, filters, .. } = self;
        let token = token.map_or_else(String::new, |token| format!("&PageToken={token}"));
        format!("{path}?{filters}PageSize={size}&Page={number}{token}")
    }
}

/// Where a page stands in its list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PageMeta)]
pub(crate) struct Meta {
    /// Its number, from 0.
    page: u64,
    page_size: u64,
    first_page_url: String,
    previous_page_url: Option<String>,
    url: String,
    next_page_url: Option<String>,
    /// The name under which the items are.
    key: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/v2/Services/IS1/Channels";

    fn paging(query: &str) -> Result<Paging> {
        Paging::new(&BaseUrl::new("https://chat.example.com/"), PATH, query, MAX_SIZE)
    }

    #[test]
    fn a_size_is_clamped_and_kept_in_the_pages_own_url_as_it_was_asked_for() {
        for (query, size, asked) in [
            ("", 50, "50"),
            ("PageSize=500", 100, "500"),
            ("PageSize=0", 1, "0"),
            ("PageSize=-3", 1, "-3"),
            ("PageSize=99999999999999999999", 100, "99999999999999999999"),
        ] {
            let paging = paging(query).unwrap();
            assert_eq!(paging.request.size, size);
            assert_eq!(paging.own(), format!("{PATH}?PageSize={asked}&Page=0"));
            assert_eq!(paging.first(), format!("{PATH}?PageSize={size}&Page=0"));
        }
    }

    #[test]
    fn a_list_of_small_or_large_pages_has_its_own_bounds() {
        let base = BaseUrl::new("https://chat.example.com");
        for (most, query, size) in [
            (5, "", 5),
            (5, "PageSize=6", 5),
            (1000, "", 50),
            (1000, "PageSize=700", 700),
        ] {
            let paging = Paging::new(&base, PATH, query, most).unwrap();
            assert_eq!(paging.request.size, size, "{query} of {most}");
        }
        assert_eq!(
            Paging::new(&base, PATH, "", 5).unwrap().own(),
            format!("{PATH}?PageSize=5&Page=0")
        );
    }

    #[test]
    fn filters_are_kept_in_every_url() {
        let page = Page {
            items: vec![()],
            next: PageToken::decode("PTbmkAAAAAAAAABw").ok(),
            previous: None,
        };
        let (meta, _) = paging("Type=public&Page=2&Type=private&PageSize=1")
            .unwrap()
            .answer("channels", &page, |()| ());
        let prefix = format!("https://chat.example.com{PATH}?Type=public&Type=private&PageSize=1");
        assert_eq!(meta.url, format!("{prefix}&Page=2"));
        assert_eq!(meta.first_page_url, format!("{prefix}&Page=0"));
        assert_eq!(meta.previous_page_url, None);
        assert!(
            meta.next_page_url
                .is_some_and(|url| url.starts_with(&format!("{prefix}&Page=3&PageToken=PT")))
        );
    }

    #[test]
    fn what_is_no_page_is_refused_by_name() {
        for (query, name) in [
            ("PageSize=many", "PageSize"),
            ("PageSize=", "PageSize"),
            ("Page=-1", "Page"),
            ("PageToken=nonsense", "PageToken"),
            ("PageToken=", "PageToken"),
        ] {
            let refused = paging(query).err().unwrap();
            assert_eq!(refused.code().code(), 20001);
            assert!(refused.message().starts_with(name), "{}", refused.message());
        }
    }
}
