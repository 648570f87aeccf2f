//! Which destinations a tenant may choose: the pure part.

use std::net::IpAddr;

use url::{Host, Url};

use super::networks::{ALWAYS_CLOSED_V4, ALWAYS_CLOSED_V6, PRIVATE_V4, PRIVATE_V6, SPECIAL_V4, SPECIAL_V6};

/// What the operator allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Policy {
    /// `HUBBUB_WEBHOOK_ALLOW_PRIVATE`: loopback and private networks, local names and any port. Link-local and
    /// metadata addresses stay closed.
    pub allow_private: bool,
}

/// Why a destination was refused. Its text is fit for the tenant; the address behind a name is only in the debug form,
/// for the operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Neither `http` nor `https`.
    #[error("only http and https URLs can be called")]
    Scheme,
    /// A user name or a password in the URL.
    #[error("a URL must not contain a user name or a password")]
    UserInfo,
    /// A well-known port below 1024 other than 80 and 443.
    #[error("port {0} is not allowed")]
    Port(u16),
    /// A name that means something local, or no proper name.
    #[error("destination not allowed")]
    Name(String),
    /// The address itself, or one that the name resolves to.
    #[error("destination not allowed")]
    Address(IpAddr),
}

/// Top-level names that mean something local. See RFC 6761, 6762, 8375 and ICANN's reservation of `internal`.
const LOCAL_DOMAINS: [&str; 4] = ["localhost", "local", "internal", "home.arpa"];
/// Where Google Cloud serves its metadata. It resolves to a link-local address, but need not be asked.
const METADATA_NAME: &str = "metadata.google.internal";

/// Whether a tenant may choose this URL, as far as can be told without resolving its name. IP literals in every form
/// (decimal, octal, hexadecimal, short, IPv4 in IPv6) are addresses here: parsing has made them so.
///
/// # Errors
/// [`Refused`], with the reason.
pub fn vet_url(url: &Url, policy: Policy) -> Result<(), Refused> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(Refused::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Refused::UserInfo);
    }
    match url.port_or_known_default() {
        Some(80 | 443 | 1024..) => {}
        Some(1..) if policy.allow_private => {}
        port => return Err(Refused::Port(port.unwrap_or_default())),
    }
    match url.host() {
        Some(Host::Ipv4(address)) => vet_address(address.into(), policy),
        Some(Host::Ipv6(address)) => vet_address(address.into(), policy),
        Some(Host::Domain(name)) => vet_name(name, policy),
        None => Err(Refused::Name(String::new())),
    }
}

/// `name` is in lower case, as every parsed URL has it.
fn vet_name(name: &str, policy: Policy) -> Result<(), Refused> {
    let within = |domain: &str| {
        name.strip_suffix(domain)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    // A trailing dot means the same to the resolver and something else to every check on names.
    let proper = !name.is_empty() && !name.ends_with('.') && name != METADATA_NAME;
    let public = name.contains('.') && !LOCAL_DOMAINS.into_iter().any(within);
    if proper && (public || policy.allow_private) {
        Ok(())
    } else {
        Err(Refused::Name(name.into()))
    }
}

/// Whether a tenant may reach this address.
///
/// # Errors
/// [`Refused::Address`].
pub fn vet_address(address: IpAddr, policy: Policy) -> Result<(), Refused> {
    let address = address.to_canonical();
    let (closed, private, special) = match address {
        IpAddr::V4(it) => {
            let within = |networks: &[ipnet::Ipv4Net]| networks.iter().any(|network| network.contains(&it));
            (
                within(&ALWAYS_CLOSED_V4),
                within(&PRIVATE_V4),
                within(&SPECIAL_V4),
            )
        }
        IpAddr::V6(it) => {
            let within = |networks: &[ipnet::Ipv6Net]| networks.iter().any(|network| network.contains(&it));
            (
                within(&ALWAYS_CLOSED_V6),
                within(&PRIVATE_V6),
                within(&SPECIAL_V6),
            )
        }
    };
    // Private before special: ::1 lies in the block of IPv4-compatible addresses.
    let allowed = !closed && if private { policy.allow_private } else { !special };
    if allowed {
        Ok(())
    } else {
        Err(Refused::Address(address))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    const PUBLIC: Policy = Policy { allow_private: false };
    const PRIVATE: Policy = Policy { allow_private: true };

    fn vetted(url: &str, policy: Policy) -> bool {
        // What does not parse is refused where URLs are parsed.
        Url::parse(url).is_ok_and(|url| vet_url(&url, policy).is_ok())
    }

    #[test]
    fn ordinary_urls_are_allowed() {
        for url in [
            "https://example.com",
            "http://example.com/hook?a=1",
            "https://EXAMPLE.com:8443/",
            "https://example.com:1024",
            "http://93.184.215.14/",
            "https://[2606:4700::1111]/",
            "https://[::ffff:8.8.8.8]/",
            "https://localhost.example.com",
            "https://notlocalhost.dev",
            "https://xn--mnchen-3ya.example/",
        ] {
            assert!(vetted(url, PUBLIC), "{url}");
            assert!(vetted(url, PRIVATE), "{url}");
        }
    }

    #[test]
    fn private_and_local_destinations_need_the_operators_word() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f000001/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://10.1.2.3/",
            "http://172.31.255.255/",
            "http://192.168.0.1/",
            "http://100.64.0.1/",
            "http://[::1]/",
            "http://[::ffff:10.0.0.1]/",
            "http://[fd12:3456::1]/",
            "http://localhost/",
            "http://LOCALHOST/",
            "http://app.localhost/",
            "http://printer.local/",
            "http://api.corp.internal/",
            "http://nas.home.arpa/",
            "http://web/",
            "https://example.com:22/",
            "https://example.com:6/",
        ] {
            assert!(!vetted(url, PUBLIC), "{url}");
            assert!(vetted(url, PRIVATE), "{url}");
        }
    }

    #[test]
    fn some_destinations_stay_closed_whatever_the_operator_says() {
        for url in [
            "http://169.254.169.254/latest/meta-data",
            "http://169.254.170.2/",
            "http://0xa9fea9fe/",
            "http://2852039166/",
            "http://[::ffff:169.254.169.254]/",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
            "http://[fd00:ec2::254]/",
            "http://metadata.google.internal/",
            "http://[fe80::1]/",
            "http://0.0.0.0/",
            "http://0/",
            "http://[::]/",
            "http://[::127.0.0.1]/",
            "http://[::ffff:0:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
            "http://[64:ff9b:1::7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://[2001::1]/",
            "http://[2001:db8::1]/",
            "http://[100::1]/",
            "http://[100:0:0:1::1]/",
            "http://[3fff::1]/",
            "http://[5f00::1]/",
            "http://[fec0::1]/",
            "http://[ff02::1]/",
            "http://192.0.0.192/",
            "http://192.0.2.1/",
            "http://192.88.99.1/",
            "http://198.19.0.1/",
            "http://198.51.100.1/",
            "http://203.0.113.1/",
            "http://224.0.0.1/",
            "http://240.0.0.1/",
            "http://255.255.255.255/",
            "http://example.com./",
            "http://localhost./",
            "http://user@example.com/",
            "http://user:secret@example.com/",
            "http://:secret@example.com/",
            "http://example.com:0/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "http://[fe80::1%25eth0]/",
            "http://",
        ] {
            assert!(!vetted(url, PUBLIC), "{url}");
            assert!(!vetted(url, PRIVATE), "{url}");
        }
    }

    #[test]
    fn the_reason_does_not_tell_the_tenant_an_address() {
        let refused = vet_address([10, 1, 2, 3].into(), PUBLIC).unwrap_err();
        assert_eq!(refused.to_string(), "destination not allowed");
        assert_eq!(format!("{refused:?}"), "Address(10.1.2.3)");
    }
}
