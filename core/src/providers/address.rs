//! Where SMS and e-mail go to, and what they come from.

use lettre::message::Mailbox;
use serde_json::Value;

/// A phone number in E.164, `+15017122661`: blanks, dashes, dots and brackets in it are forgiven.
#[must_use]
pub fn phone(text: &str) -> Option<String> {
    let number: String = text
        .chars()
        .filter(|character| !(character.is_whitespace() || "-.()[]".contains(*character)))
        .collect();
    let digits = number.strip_prefix('+')?;
    let fits = (7..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    fits.then_some(number)
}

/// Who an SMS comes from: a number, a short code, or a name of at most eleven letters, digits and blanks.
#[must_use]
pub fn sms_sender(text: &str) -> Option<String> {
    if let Some(number) = phone(text) {
        return Some(number);
    }
    let text = text.trim();
    let is_short_code = (3..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_name = (1..=11).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ')
        && text.bytes().any(|byte| byte.is_ascii_alphabetic());
    (is_short_code || is_name).then(|| text.to_owned())
}

/// A mailbox: `a@example.com` or `Ada <a@example.com>`. Nothing in it can break out of a header.
#[must_use]
pub fn mailbox(text: &str) -> Option<Mailbox> {
    if text.chars().any(char::is_control) || text.len() > 320 {
        return None;
    }
    text.trim().parse().ok()
}

/// The text at this name of a user's attributes.
#[must_use]
pub fn of_user<'a>(attributes: &'a Value, name: &str) -> Option<&'a str> {
    attributes.get(name)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_people_write_them() {
        for text in [
            "+15017122661",
            " +1 (501) 712-2661",
            "+1.501.712.2661",
            "+1-501-712 2661",
        ] {
            assert_eq!(phone(text).as_deref(), Some("+15017122661"), "{text}");
        }
        for text in [
            "",
            "5017122661",
            "0015017122661",
            "+05017122661",
            "+1501x",
            "+123",
            "+1234567890123456",
        ] {
            assert_eq!(phone(text), None, "{text}");
        }
    }

    #[test]
    fn senders_are_numbers_or_short_names() {
        for text in ["+15017122661", "12345", "Acme", "Acme Ltd 1"] {
            assert_eq!(sms_sender(text).as_deref(), Some(text));
        }
        for text in ["", "12", "123456789", "A name too long", "Acme\r\nX: y", "Ä"] {
            assert_eq!(sms_sender(text), None, "{text}");
        }
    }

    #[test]
    fn a_mailbox_brings_no_header_along() {
        assert!(mailbox("Ada <ada@example.com>").is_some());
        assert!(mailbox("ada@example.com").is_some());
        for text in [
            "",
            "ada",
            "ada@",
            "ada@example.com\r\nBcc: eve@example.com",
            "ada@example.com, eve@example.com",
            "\"a\r\nb\"@example.com",
        ] {
            assert!(mailbox(text).is_none(), "{text}");
        }
    }
}
