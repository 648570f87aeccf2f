//! Reading single settings. Each says what would have been right.

use std::{net::SocketAddr, time::Duration};

use base64::{Engine, prelude::BASE64_STANDARD};
use hubbub_api::Rate;
use hubbub_core::{BaseUrl, Secret, sid::AccountSid};
use hubbub_gateway::VerbRate;
use url::Url;

use super::Roles;

type Parsed<T> = Result<T, String>;

/// The setting, or the default.
pub(super) fn or<T>(
    given: Option<&str>,
    variable: &str,
    default: &str,
    parse: fn(&str) -> Parsed<T>,
) -> anyhow::Result<T> {
    one(
        given.filter(|text| !text.is_empty()).unwrap_or(default),
        variable,
        parse,
    )
}

/// The setting, if it is set.
pub(super) fn some<T>(
    given: Option<&str>,
    variable: &str,
    parse: fn(&str) -> Parsed<T>,
) -> anyhow::Result<Option<T>> {
    given
        .filter(|text| !text.is_empty())
        .map(|text| one(text, variable, parse))
        .transpose()
}

/// The setting.
pub(super) fn one<T>(given: &str, variable: &str, parse: fn(&str) -> Parsed<T>) -> anyhow::Result<T> {
    parse(given).map_err(|problem| anyhow::anyhow!("{variable} {problem}"))
}

pub(super) fn listen(text: &str) -> Parsed<SocketAddr> {
    text.parse().map_err(|_| {
        format!("is '{text}', which is not an address and a port such as 127.0.0.1:8080 or [::]:8080")
    })
}

pub(super) fn public_url(text: &str) -> Parsed<BaseUrl> {
    let wrong = |why: &str| format!("is '{text}', which {why}; right would be https://chat.example.com");
    let url = Url::parse(text).map_err(|_| wrong("is not an absolute URL"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(wrong("is not an http or https URL"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("has a query or a fragment"));
    }
    Ok(BaseUrl::new(url.as_str()))
}

pub(super) fn roles(text: &str) -> Parsed<Roles> {
    let mut roles = Roles {
        api: false,
        gateway: false,
        workers: false,
    };
    for role in text.split(',').map(str::trim).filter(|role| !role.is_empty()) {
        match role {
            "api" => roles.api = true,
            "gateway" => roles.gateway = true,
            "workers" => roles.workers = true,
            _ => {
                return Err(format!(
                    "names the unknown role '{role}'; right would be a list of api, gateway and workers"
                ));
            }
        }
    }
    if roles
        == (Roles {
            api: false,
            gateway: false,
            workers: false,
        })
    {
        return Err("names no role; right would be a list of api, gateway and workers".to_owned());
    }
    Ok(roles)
}

pub(super) fn postgres_url(text: &str) -> Parsed<String> {
    url_of(
        text,
        &["postgres", "postgresql"],
        "postgres://user:password@host:5432/database",
    )
}

pub(super) fn amqp_url(text: &str) -> Parsed<String> {
    url_of(text, &["amqp", "amqps"], "amqp://user:password@host:5672/%2f")
}

/// The text is not repeated in the message: it may hold a password.
fn url_of(text: &str, schemes: &[&str], example: &str) -> Parsed<String> {
    match Url::parse(text) {
        Ok(url) if schemes.contains(&url.scheme()) && url.host().is_some() => Ok(text.to_owned()),
        Ok(url) => Err(format!(
            "begins with {}:, which is not understood here; right would be {example}",
            url.scheme()
        )),
        Err(cause) => Err(format!("is not a URL ({cause}); right would be {example}")),
    }
}

pub(super) fn master_key(text: &str) -> Parsed<[u8; 32]> {
    BASE64_STANDARD
        .decode(text.trim())
        .ok()
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| {
            "is not 32 bytes in base64 (44 characters); right would be what `openssl rand -base64 32` prints"
                .to_owned()
        })
}

pub(super) fn account_sid(text: &str) -> Parsed<AccountSid> {
    text.parse()
        .map_err(|_| format!("is '{text}'; right would be AC and 32 hexadecimal digits"))
}

pub(super) fn auth_token(text: &str) -> Parsed<Secret> {
    if text.len() < 16
        || text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || c == ':')
    {
        return Err("is too short or has blanks or colons; right would be 32 random hexadecimal digits, as `openssl rand -hex 16` prints".to_owned());
    }
    Ok(Secret::new(text))
}

pub(super) fn boolean(text: &str) -> Parsed<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(format!("is '{text}'; right would be true or false")),
    }
}

pub(super) fn duration(text: &str) -> Parsed<Duration> {
    let wrong = || format!("is '{text}'; right would be a number with s, m, h or d, such as 7d");
    let unit = match text.chars().next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    number
        .checked_mul(unit)
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}

/// Times with commas between them.
pub(super) fn ladder(text: &str) -> Parsed<Vec<Duration>> {
    const RUNGS: usize = 20;
    let rungs: Vec<_> = text
        .split(',')
        .map(|rung| duration(rung.trim()))
        .collect::<Result<_, _>>()
        .map_err(|_| {
            format!("is '{text}'; right would be times with s, m, h or d and commas between them, such as 5s,5m,2h")
        })?;
    if rungs.len() > RUNGS {
        return Err(format!(
            "has {} times; right would be at most {RUNGS}",
            rungs.len()
        ));
    }
    Ok(rungs)
}

pub(super) fn delay(text: &str) -> Parsed<Duration> {
    const MOST: Duration = Duration::from_secs(60);
    duration(text)
        .ok()
        .filter(|delay| *delay <= MOST)
        .ok_or_else(|| format!("is '{text}'; right would be 1s to 60s, such as 10s"))
}

pub(super) fn ceiling(text: &str) -> Parsed<i32> {
    text.parse().ok().filter(|number| *number >= 1).ok_or_else(|| {
        format!("is '{text}'; right would be a whole number from 1 to 2147483647, such as 100000")
    })
}

pub(super) fn rate(text: &str) -> Parsed<Rate> {
    text.parse().ok().and_then(Rate::per_second).ok_or_else(|| {
        format!("is '{text}'; right would be requests a second, from 0.001 to 1000000, such as 100 or 0.5")
    })
}

pub(super) fn verb_rate(text: &str) -> Parsed<VerbRate> {
    text.parse().ok().and_then(VerbRate::per_second).ok_or_else(|| {
        format!("is '{text}'; right would be verbs a second, from 0.001 to 1000000, such as 20 or 0.5")
    })
}

pub(super) fn sockets(text: &str) -> Parsed<usize> {
    text.parse()
        .ok()
        .filter(|sockets| *sockets >= 1)
        .ok_or_else(|| format!("is '{text}'; right would be a whole number of at least 1, such as 100"))
}

pub(super) fn size(text: &str) -> Parsed<usize> {
    const LEAST: usize = 16 * 1024;
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "" | "B" => 1,
        "KiB" | "K" | "k" => 1024,
        "MiB" | "M" => 1024 * 1024,
        "GiB" | "G" => 1024 * 1024 * 1024,
        _ => 0,
    };
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|bytes| *bytes >= LEAST)
        .ok_or_else(|| format!("is '{text}'; right would be at least 16KiB, such as 1MiB or 262144"))
}

pub(super) fn rows(text: &str) -> Parsed<usize> {
    const MOST: usize = 1_000_000;
    text.parse().ok().filter(|rows| *rows <= MOST).ok_or_else(|| {
        format!("is '{text}'; right would be a whole number of rows, 0 to {MOST}, such as 10000")
    })
}

pub(super) fn members(text: &str) -> Parsed<u32> {
    text.parse()
        .map_err(|_| format!("is '{text}'; right would be a whole number of members, 0 or more, such as 100"))
}

pub(super) fn log(text: &str) -> Parsed<String> {
    tracing_subscriber::EnvFilter::try_new(text)
        .map(|_| text.to_owned())
        .map_err(|cause| format!("is '{text}' ({cause}); right would be error, warn, info, debug or trace, or a list such as info,hubbub_gateway=debug"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(size("1MiB"), Ok(1_048_576));
        assert_eq!(size("65536"), Ok(65_536));
        assert_eq!(size("2GiB"), Ok(2_147_483_648));
        for wrong in ["", "7", "d", "-1d", "0s", "1w", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "MiB", "1GB", "-1", "7KiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_ladder_has_a_time_for_each_rung() {
        assert_eq!(
            ladder("1s, 5m,2h"),
            Ok([1, 300, 7200].map(Duration::from_secs).to_vec())
        );
        for wrong in ["", "1s,", "1s 5m", "0s", "1", &vec!["1s"; 21].join(",")] {
            assert!(ladder(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_number_of_rows_is_whole_and_bounded() {
        assert_eq!(rows("0"), Ok(0));
        assert_eq!(rows("10000"), Ok(10_000));
        for wrong in ["", "-1", "1.5", "many", "1000001"] {
            assert!(rows(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn numbers_of_sockets_are_whole_and_rates_may_be_fractions() {
        assert_eq!(sockets("1"), Ok(1));
        assert!(verb_rate("0.5").is_ok() && verb_rate("20").is_ok());
        for wrong in ["", "0", "-1", "1.5", "many"] {
            assert!(sockets(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "-1", "NaN", "2000000", "fast"] {
            assert!(verb_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn roles_are_a_list() {
        assert_eq!(
            roles("api, workers"),
            Ok(Roles {
                api: true,
                gateway: false,
                workers: true
            })
        );
        assert!(roles("").is_err());
        assert!(roles("api,gatekeeper").unwrap_err().contains("gatekeeper"));
    }

    #[test]
    fn a_wrong_url_is_not_repeated() {
        let problem = postgres_url("mysql://u:hush@h/d").unwrap_err();
        assert!(!problem.contains("hush"), "{problem}");
    }
}
