//! Calls to addresses that tenants choose.
//!
//! Everything that leaves for such an address goes through [`Client`], which vets the URL, resolves the name itself,
//! refuses when any address is one that tenants must not reach, and connects to exactly what it vetted. The URL is
//! also vetted when it is saved ([`vet_url`]); that is for the tenant's sake, the check at the call is what protects.

mod client;
mod networks;
mod reply;
mod resolve;
mod vet;

pub use client::{Call, CallError, Client, DEADLINE, SetupError};
pub use reply::{BODY_LIMIT, Reply};
pub use resolve::{Lookup, SystemLookup};
pub use vet::{Policy, Refused, vet_address, vet_url};
