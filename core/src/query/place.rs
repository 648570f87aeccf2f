//! Page tokens of lists with `Filter` or `Sort`: the place of the item at the page's end, bound to what was asked.

use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::table::{Place, Tie};
use crate::{
    attributes::SortKey,
    error::{Error, Result},
    filter::Sort,
    paging::{PageRequest, unknown_token},
};

/// The longest value that a token holds whole. Three of them leave it short enough for a URL.
const WHOLE: usize = 400;
/// The bytes that a token tells of a longer value beside its beginning.
const DIGEST: usize = 16;

/// What a token is bound to: the list's resource and what was asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question([u8; 8]);

impl Question {
    /// The question that these texts are. White space and the order of names do not count.
    pub(super) fn of(resource: &str, filter: Option<&str>, sort_text: Option<&str>, sort: &Sort) -> Self {
        let canonical = |text: Option<&str>| {
            text.and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok())
                .map_or_else(String::new, |value| value.to_string())
        };
        // An index of type `datetime` over a sorted path changes the order.
        let instants: Vec<bool> = sort
            .0
            .iter()
            .map(|by| matches!(by.field, crate::filter::Field::Attribute { instants: true, .. }))
            .collect();
        let question = format!(
            "{resource}\n{}\n{}\n{instants:?}",
            canonical(filter),
            canonical(sort_text)
        );
        Self(head(&question))
    }
}

fn head<const N: usize>(text: impl AsRef<[u8]>) -> [u8; N] {
    let digest = Sha256::digest(text);
    std::array::from_fn(|at| digest[at])
}

/// A sort value in a token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mark {
    Whole(SortKey),
    /// The beginning of a long text, and what tells it from others.
    Cut(Vec<u8>, [u8; DIGEST]),
}

impl Mark {
    fn of(key: &SortKey) -> Self {
        if key.key.len() + key.rest.len() <= WHOLE {
            Self::Whole(key.clone())
        } else {
            Self::Cut(key.key.clone(), digest_of(key))
        }
    }

    fn fits(&self, key: &SortKey) -> bool {
        match self {
            Self::Whole(whole) => whole == key,
            Self::Cut(beginning, digest) => *beginning == key.key && *digest == digest_of(key),
        }
    }
}

fn digest_of(key: &SortKey) -> [u8; DIGEST] {
    head([key.key.as_slice(), &key.rest].concat())
}

/// A place as a token tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    marks: Vec<Mark>,
    tie: Tie,
    pub(super) id: Uuid,
}

impl Marked {
    /// The place, when the token tells all of it.
    pub(super) fn whole(&self) -> Option<Place> {
        let whole = |mark: &Mark| match mark {
            Mark::Whole(key) => Some(key.clone()),
            Mark::Cut(..) => None,
        };
        Some(Place {
            keys: self.marks.iter().map(whole).collect::<Option<_>>()?,
            tie: self.tie,
            id: self.id,
        })
    }

    /// The item's own place, when it still is the one that the token tells.
    ///
    /// # Errors
    /// 20001 naming `PageToken` when it has moved meanwhile, or is gone.
    pub(super) fn resolve(&self, now: Option<Place>) -> Result<Place> {
        now.filter(|now| {
            now.tie == self.tie && self.marks.iter().zip(&now.keys).all(|(mark, key)| mark.fits(key))
        })
        .ok_or_else(|| {
            Error::parameter(
                "PageToken",
                "leads to an item that was changed or is gone, and by which the long values were sorted; begin \
                 again at the first page",
            )
        })
    }
}

/// The bytes of a token that leads to this place.
pub(super) fn encode(question: Question, place: &Place) -> Vec<u8> {
    let mut bytes = question.0.to_vec();
    bytes.extend_from_slice(place.id.as_bytes());
    if let Tie::Index(index) = place.tie {
        bytes.push(b'i');
        bytes.extend_from_slice(&index.to_be_bytes());
    } else {
        bytes.push(b'u');
    }
    for key in &place.keys {
        let (kind, parts) = match Mark::of(key) {
            Mark::Whole(key) => (b'w', [key.key, key.rest].concat()),
            Mark::Cut(beginning, digest) => (b'c', [digest.to_vec(), beginning].concat()),
        };
        bytes.push(kind);
        // At most WHOLE, or the digest and a key.
        bytes.extend_from_slice(&u16::try_from(parts.len()).unwrap_or(u16::MAX).to_be_bytes());
        bytes.extend_from_slice(&parts);
    }
    bytes
}

/// Where the page begins that is asked for; `None` for the first.
///
/// # Errors
/// 20001 naming `PageToken` when its token is of another question, or none at all.
pub(super) fn marked(question: Question, sort: &Sort, request: &PageRequest) -> Result<Option<Marked>> {
    let Some(token) = &request.token else {
        return Ok(None);
    };
    let bytes = token.place().ok_or_else(unknown_token)?;
    decode(question, sort.0.len(), bytes).map(Some)
}

/// Reads the bytes of a token.
///
/// # Errors
/// 20001 naming `PageToken` when it is of another question, or none at all.
fn decode(question: Question, keys: usize, bytes: &[u8]) -> Result<Marked> {
    let (asked, rest) = bytes.split_first_chunk::<8>().ok_or_else(unknown_token)?;
    if *asked != question.0 {
        return Err(Error::parameter(
            "PageToken",
            "is of a list with another Filter or Sort: take it from next_page_url or previous_page_url",
        ));
    }
    read(rest)
        .filter(|marked| marked.marks.len() == keys)
        .ok_or_else(unknown_token)
}

fn read(bytes: &[u8]) -> Option<Marked> {
    let (id, rest) = bytes.split_first_chunk::<16>()?;
    let id = Uuid::from_bytes(*id);
    let (&kind, rest) = rest.split_first()?;
    let (tie, mut rest) = match kind {
        b'u' => (Tie::Id(id), rest),
        b'i' => {
            let (index, rest) = rest.split_first_chunk::<8>()?;
            (Tie::Index(i64::from_be_bytes(*index)), rest)
        }
        _ => return None,
    };
    let mut marks = Vec::new();
    while let Some((&kind, behind)) = rest.split_first() {
        let (length, behind) = behind.split_first_chunk::<2>()?;
        let (value, behind) = behind.split_at_checked(u16::from_be_bytes(*length).into())?;
        marks.push(match kind {
            b'w' => Mark::Whole(known(SortKey::join(value.to_vec()))?),
            b'c' => {
                let (digest, beginning) = value.split_first_chunk::<DIGEST>()?;
                Mark::Cut(beginning.to_vec(), *digest)
            }
            _ => return None,
        });
        rest = behind;
    }
    Some(Marked { marks, tie, id })
}

/// The key, if some value has it.
fn known(key: SortKey) -> Option<SortKey> {
    match key.to_scalar() {
        Some(value) => (SortKey::from(&value) == key).then_some(key),
        None => (!key.is_placed()).then_some(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{Found, Scalar};

    fn place(texts: &[&str]) -> Place {
        let mut keys: Vec<SortKey> = texts
            .iter()
            .map(|text| SortKey::from(&Scalar::Text((*text).to_owned())))
            .collect();
        keys.push(SortKey::of(&Found::Missing));
        let id = Uuid::now_v7();
        Place {
            keys,
            tie: Tie::Id(id),
            id,
        }
    }

    fn question(filter: &str) -> Question {
        Question::of("channels", Some(filter), None, &Sort::default())
    }

    #[test]
    fn a_place_survives_the_round_and_stays_short() {
        let asked = question("{}");
        let short = place(&["a", "é"]);
        let marked = decode(asked, 3, &encode(asked, &short)).unwrap();
        assert_eq!(marked.whole(), Some(short));

        let text = "x".repeat(30_000);
        let long = place(&[&text, &text]);
        let bytes = encode(asked, &long);
        assert!(bytes.len() < 1_000, "{}", bytes.len());
        let marked = decode(asked, 3, &bytes).unwrap();
        assert_eq!(marked.whole(), None);
        assert_eq!(marked.resolve(Some(long.clone())).unwrap(), long);
        assert!(marked.resolve(None).is_err());
        let mut moved = long;
        moved.keys[0] = SortKey::from(&Scalar::Text(format!("{text}y")));
        assert!(marked.resolve(Some(moved)).is_err());
    }

    #[test]
    fn a_token_of_another_question_is_refused() {
        let bytes = encode(question(r#"{"type": "public", "sid": 1}"#), &place(&["a"]));
        assert!(decode(question(r#"{ "sid":1, "type":"public" }"#), 2, &bytes).is_ok());
        let refused = decode(question("{}"), 2, &bytes).unwrap_err();
        assert!(refused.message().starts_with("PageToken"), "{refused}");
        assert!(refused.message().contains("Filter"), "{refused}");
    }

    #[test]
    fn forged_tokens_are_refused() {
        let asked = question("{}");
        let bytes = encode(asked, &place(&["a"]));
        for length in 0..bytes.len() {
            assert!(decode(asked, 2, &bytes[..length]).is_err(), "{length}");
        }
        for position in 24..bytes.len() {
            for flip in [1, 0x80, 0xff] {
                let mut forged = bytes.clone();
                forged[position] ^= flip;
                // Whatever it is read as has values that exist.
                if let Ok(marked) = decode(asked, 2, &forged) {
                    assert!(marked.whole().is_some() || marked.marks.len() == 2);
                }
            }
        }
        assert!(decode(asked, 1, &bytes).is_err());
    }
}
