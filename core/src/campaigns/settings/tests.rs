use super::*;
use crate::{
    campaigns::{CAMPAIGN, DRAFT, UNRESOLVED},
    sid::{AccountSid, CampaignSid, ServiceSid},
};

fn blank(now: Timestamp) -> campaign::Model {
    campaign::Model {
        service_id: ServiceSid::generate(),
        id: CampaignSid::generate(),
        account_id: AccountSid::generate(),
        kind: CAMPAIGN.to_owned(),
        friendly_name: None,
        mode: INDIVIDUAL.to_owned(),
        via: CHAT.to_owned(),
        audience_id: None,
        identities: None,
        channel_unique_name: None,
        sender: None,
        body: None,
        subject: None,
        attributes: None,
        media_sid: None,
        send_at: None,
        rate_per_second: None,
        quiet_hours: None,
        dry_run: false,
        attach_pool: None,
        webhooks: false,
        status: DRAFT.to_owned(),
        error: None,
        channel_id: None,
        phase: UNRESOLVED.to_owned(),
        resolved_through: None,
        total: 0,
        date_started: None,
        date_completed: None,
        date_created: now,
        date_updated: now,
    }
}

fn good() -> CampaignSettings {
    CampaignSettings {
        identities: Some(vec!["bob".to_owned(), "alice".to_owned(), "bob".to_owned()]),
        body: Some("Dear {{user.identity}}".to_owned()),
        ..CampaignSettings::default()
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn applied(settings: &CampaignSettings) -> Result<campaign::Model> {
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    let mut row = blank(now);
    settings.apply(&mut row, now).map(|()| row)
}

#[test]
fn what_goes_together_is_taken() {
    let row = applied(&good()).unwrap();
    assert_eq!(row.identities.as_deref(), Some("[\"alice\",\"bob\"]"));
    let email = CampaignSettings {
        mode: text(ONE_WAY),
        via: text(EMAIL),
        subject: text("For {{user.friendly_name|you}}"),
        ..good()
    };
    assert_eq!(applied(&email).unwrap().via, EMAIL);
    let group = CampaignSettings {
        mode: text(GROUP),
        body: text("Hello"),
        channel_unique_name: text("all"),
        rate_per_second: Some(Some(10_000)),
        quiet_hours: text(r#"{"start": "21:00", "end": "08:00"}"#),
        ..good()
    };
    assert_eq!(applied(&group).unwrap().rate_per_second, Some(10_000));
}

#[test]
fn what_is_wrong_is_named_with_what_would_be_right() {
    let base = good;
    let past = Timestamp::from_unix_seconds(1_600_000_000);
    for (settings, names) in [
        (
            CampaignSettings {
                mode: text("all"),
                ..base()
            },
            ["Mode", "individual"],
        ),
        (
            CampaignSettings {
                via: text("fax"),
                ..base()
            },
            ["Via", "email"],
        ),
        (
            CampaignSettings {
                via: text(SMS),
                ..base()
            },
            ["Via", "Mode=broadcast"],
        ),
        (CampaignSettings { body: None, ..base() }, ["Body", "missing"]),
        (
            CampaignSettings {
                body: text(""),
                ..base()
            },
            ["Body", "missing"],
        ),
        (
            CampaignSettings {
                body: text("{{user.x}}"),
                ..base()
            },
            ["Body", "user.identity"],
        ),
        (
            CampaignSettings {
                identities: None,
                ..base()
            },
            ["AudienceSid", "Identities"],
        ),
        (
            CampaignSettings {
                identities: Some(vec![]),
                ..base()
            },
            ["AudienceSid", "Identities"],
        ),
        (
            CampaignSettings {
                identities: Some(vec!["system".to_owned()]),
                ..base()
            },
            ["Identities", "element 1"],
        ),
        (
            CampaignSettings {
                identities: Some(vec![String::from("x"); 10_001]),
                ..base()
            },
            ["Identities", "Upload"],
        ),
        (
            CampaignSettings {
                audience_sid: text("AU1"),
                ..base()
            },
            ["Identities", "AudienceSid"],
        ),
        (
            CampaignSettings {
                audience_sid: text("AU1"),
                identities: None,
                ..base()
            },
            ["AudienceSid", "AU1"],
        ),
        (
            CampaignSettings {
                mode: text(GROUP),
                ..base()
            },
            ["Body", "Mode=individual"],
        ),
        (
            CampaignSettings {
                mode: text(ONE_WAY),
                body: text("x"),
                attributes: text("\"{{user.identity}}\""),
                ..base()
            },
            ["Attributes", "same for all"],
        ),
        (
            CampaignSettings {
                mode: text(ONE_WAY),
                via: text(EMAIL),
                ..base()
            },
            ["Subject", "missing"],
        ),
        (
            CampaignSettings {
                subject: text("x"),
                ..base()
            },
            ["Subject", "Via=email"],
        ),
        (
            CampaignSettings {
                mode: text(ONE_WAY),
                via: text(SMS),
                channel_unique_name: text("x"),
                ..base()
            },
            ["ChannelUniqueName", "Via=chat"],
        ),
        (
            CampaignSettings {
                mode: text(ONE_WAY),
                body: text("x"),
                attach_pool: Some(format!("OP{:032x}", 1)),
                ..base()
            },
            ["AttachPool", "Mode=individual"],
        ),
        (
            CampaignSettings {
                attach_pool: text("x"),
                ..base()
            },
            ["AttachPool", "OP"],
        ),
        (
            CampaignSettings {
                rate_per_second: Some(Some(0)),
                ..base()
            },
            ["RatePerSecond", "10000"],
        ),
        (
            CampaignSettings {
                rate_per_second: Some(Some(10_001)),
                ..base()
            },
            ["RatePerSecond", "10000"],
        ),
        (
            CampaignSettings {
                send_at: Some(Some(past)),
                ..base()
            },
            ["SendAt", "future"],
        ),
        (
            CampaignSettings {
                quiet_hours: text("{}"),
                ..base()
            },
            ["QuietHours", "21:00"],
        ),
        (
            CampaignSettings {
                attributes: text("{"),
                ..base()
            },
            ["Attributes", "JSON"],
        ),
        (
            CampaignSettings {
                media_sid: text("ME1"),
                ..base()
            },
            ["MediaSid", "ME1"],
        ),
        (
            CampaignSettings {
                mode: text(GROUP),
                body: text("x"),
                channel_unique_name: Some(format!("CH{:032x}", 1)),
                ..base()
            },
            ["ChannelUniqueName", "SID"],
        ),
    ] {
        let refused = applied(&settings).unwrap_err();
        let message = refused.message();
        assert!(
            refused.code().status() < 500 && names.iter().all(|name| message.contains(name)),
            "{names:?}: {message}"
        );
    }
}

#[test]
fn an_empty_text_clears_and_an_audience_takes_the_place_of_identities() {
    let now = Timestamp::from_unix_seconds(1_700_000_000);
    let mut row = blank(now);
    let mut first = good();
    first.channel_unique_name = text("to {{user.identity}}");
    first.from = text("boss");
    first.apply(&mut row, now).unwrap();
    let sid = format!("AU{:032x}", 7);
    let second = CampaignSettings {
        audience_sid: Some(sid.clone()),
        channel_unique_name: text(""),
        from: text(""),
        ..CampaignSettings::default()
    };
    second.apply(&mut row, now).unwrap();
    assert_eq!(row.audience_id.map(|id| id.to_string()), Some(sid));
    assert_eq!(
        (row.identities, row.channel_unique_name, row.sender),
        (None, None, None)
    );
    assert!(CampaignSettings::default().is_nothing() && !second.is_nothing());
}
