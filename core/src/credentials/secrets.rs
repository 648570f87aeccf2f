//! What push services want to see, and which of it belongs to which.

use serde::{Deserialize, Serialize};

use super::{APN, GCM};
use crate::{
    entities::credential,
    error::{Error, Result},
    secrets::{Secret, Vault},
    sid::CredentialSid,
};

/// The secrets of a credential. Nothing prints them.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secrets {
    /// `apn`: the certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// `apn`: its private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    /// `gcm`: the key of the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<String>,
    /// `fcm`: the key of the server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl Secrets {
    /// Those of `given`, and what is not among them from these.
    pub(super) fn replaced_by(self, given: Self) -> Self {
        Self {
            certificate: given.certificate.or(self.certificate),
            private_key: given.private_key.or(self.private_key),
            api_key: given.api_key.or(self.api_key),
            secret: given.secret.or(self.secret),
        }
    }

    /// Those that a credential of this type needs, and no others.
    ///
    /// # Errors
    /// 20001 naming the first one that is missing.
    pub(super) fn needed_by(self, kind: &str) -> Result<Self> {
        let needed = |name: &str, given: Option<String>| match given {
            Some(text) if !text.is_empty() => Ok(Some(text)),
            _ => Err(Error::parameter(
                name,
                &format!("is missing: a credential of type {kind} needs it"),
            )),
        };
        Ok(match kind {
            APN => Self {
                certificate: needed("Certificate", self.certificate)?,
                private_key: needed("PrivateKey", self.private_key)?,
                ..Self::default()
            },
            GCM => Self {
                api_key: needed("ApiKey", self.api_key)?,
                ..Self::default()
            },
            _ => Self {
                secret: needed("Secret", self.secret)?,
                ..Self::default()
            },
        })
    }

    pub(super) fn seal(&self, vault: &Vault, id: CredentialSid) -> Result<Vec<u8>> {
        let text = serde_json::to_string(self).map_err(Error::internal)?;
        vault.seal(&Secret::new(text), &id.to_string())
    }

    pub(super) fn open(vault: &Vault, credential: &credential::Model) -> Result<Self> {
        let text = vault.open(&credential.secrets, &credential.id.to_string())?;
        serde_json::from_str(text.expose()).map_err(Error::internal)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::FCM, *};

    #[test]
    fn each_type_needs_its_own_secrets_and_keeps_no_others() {
        let all = Secrets {
            certificate: Some("cert".to_owned()),
            private_key: Some("key".to_owned()),
            api_key: Some("api".to_owned()),
            secret: Some("secret".to_owned()),
        };
        let kept = |kind| serde_json::to_value(all.clone().needed_by(kind).ok()).unwrap();
        assert_eq!(
            kept(APN),
            serde_json::json!({"certificate": "cert", "private_key": "key"})
        );
        assert_eq!(kept(GCM), serde_json::json!({"api_key": "api"}));
        assert_eq!(kept(FCM), serde_json::json!({"secret": "secret"}));
        for (kind, name) in [(APN, "Certificate"), (GCM, "ApiKey"), (FCM, "Secret")] {
            let refused = Secrets::default().needed_by(kind).err().unwrap();
            assert!(refused.message().starts_with(name), "{}", refused.message());
        }
    }

    #[test]
    fn they_are_sealed_for_their_credential() {
        let vault = Vault::new([3; 32]);
        let id = CredentialSid::generate();
        let secrets = Secrets {
            api_key: Some("hush".to_owned()),
            ..Secrets::default()
        };
        let sealed = secrets.seal(&vault, id).unwrap();
        assert!(!sealed.windows(4).any(|window| window == b"hush"));
        let row = |id| credential::Model {
            account_id: crate::sid::AccountSid::generate(),
            id,
            kind: GCM.to_owned(),
            friendly_name: None,
            sandbox: false,
            secrets: sealed.clone(),
            date_created: crate::Timestamp(0),
            date_updated: crate::Timestamp(0),
        };
        assert!(Secrets::open(&vault, &row(id)).ok() == Some(secrets));
        assert!(Secrets::open(&vault, &row(CredentialSid::generate())).is_err());
    }
}
