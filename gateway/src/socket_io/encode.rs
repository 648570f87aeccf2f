//! Socket.IO packets, as we send them: complete Engine.IO text packets, the `4` included, so that one encoding
//! serves every socket that gets the event.

use std::fmt::Write as _;

use bytestring::ByteString;
use serde::Serialize;
use serde_json::Value;

/// An event with one argument, which is JSON text. The result goes to any number of sockets of the namespace
/// with [`Outgoing::packet`](crate::engine_io::Outgoing::packet).
#[must_use]
pub fn encode_event(namespace: &str, name: &str, json: &str) -> ByteString {
    format!("{}{json}]", event_head(namespace, name)).into()
}

/// An event whose one argument, a JSON object with at least one field, is left open at its end: each socket
/// gets the fields of its own with [`Outgoing::with_tail`](crate::engine_io::Outgoing::with_tail), for
/// example `,"cursor":"abc"}]`. `None` when `json` is not such an object.
#[must_use]
pub fn encode_open_event(namespace: &str, name: &str, json: &str) -> Option<ByteString> {
    let open = json.trim_end().strip_suffix('}')?.trim_end();
    let has_field = open
        .strip_prefix('{')
        .is_some_and(|fields| !fields.trim_start().is_empty());
    has_field.then(|| format!("{}{open}", event_head(namespace, name)).into())
}

/// `42/namespace,["name",`
fn event_head(namespace: &str, name: &str) -> String {
    let mut head = header('2', namespace);
    head.push('[');
    push_json_string(name, &mut head);
    head.push(',');
    head
}

/// The answer to an event: its arguments as JSON text, separated by commas.
pub(super) fn ack(namespace: &str, id: u64, args: &str, attachments: usize) -> ByteString {
    let mut packet = if attachments == 0 {
        header('3', namespace)
    } else {
        binary_header('6', namespace, attachments)
    };
    // Writing to a string cannot fail.
    let _ = write!(packet, "{id}[{args}]");
    packet.into()
}

/// An event with any number of arguments and attachments.
pub(super) fn event(namespace: &str, name: &str, args: &str, attachments: usize) -> ByteString {
    let mut packet = if attachments == 0 {
        header('2', namespace)
    } else {
        binary_header('5', namespace, attachments)
    };
    packet.push('[');
    push_json_string(name, &mut packet);
    if !args.is_empty() {
        packet.push(',');
        packet.push_str(args);
    }
    packet.push(']');
    packet.into()
}

/// The client was let in under this public id, and with this private one if it may come back as the same socket.
pub(super) fn connected(namespace: &str, id: &str, private_id: Option<&str>) -> ByteString {
    let private_id = private_id.map_or(String::new(), |private_id| format!(r#","pid":"{private_id}""#));
    format!(r#"{}{{"sid":"{id}"{private_id}}}"#, header('0', namespace)).into()
}

/// The client was not let in.
pub(super) fn refused(namespace: &str, message: &str, data: Option<&Value>) -> ByteString {
    #[derive(Serialize)]
    struct Refused<'a> {
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a Value>,
    }
    let json =
        serde_json::to_string(&Refused { message, data }).unwrap_or_else(|_| r#"{"message":""}"#.into());
    format!("{}{json}", header('4', namespace)).into()
}

/// The client was put out of the namespace.
pub(super) fn disconnect(namespace: &str) -> ByteString {
    header('1', namespace).into()
}

fn header(kind: char, namespace: &str) -> String {
    let mut packet = String::from("4");
    packet.push(kind);
    push_namespace(namespace, &mut packet);
    packet
}

fn binary_header(kind: char, namespace: &str, attachments: usize) -> String {
    let mut packet = format!("4{kind}{attachments}-");
    push_namespace(namespace, &mut packet);
    packet
}

/// Always with the comma: some clients read up to it.
fn push_namespace(namespace: &str, packet: &mut String) {
    if namespace != "/" {
        packet.push_str(namespace);
        packet.push(',');
    }
}

fn push_json_string(text: &str, packet: &mut String) {
    let _ = write!(packet, "{}", Value::from(text));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn events_are_complete_packets() {
        assert_eq!(encode_event("/", "hey", r#"{"a":1}"#), r#"42["hey",{"a":1}]"#);
        assert_eq!(encode_event("/admin", "a\"b", "1"), r#"42/admin,["a\"b",1]"#);
    }

    #[test]
    fn open_events_take_a_tail() {
        let head = encode_open_event("/", "hey", "{\"a\":1 }\n").unwrap();
        assert_eq!(
            format!("{head},\"cursor\":\"c\"}}]"),
            r#"42["hey",{"a":1,"cursor":"c"}]"#
        );
        for json in ["{}", "{ }", "[1]", "", "}"] {
            assert_eq!(encode_open_event("/", "hey", json), None, "{json}");
        }
    }

    #[test]
    fn the_other_packets() {
        assert_eq!(ack("/", 12, "\"ok\"", 0), r#"4312["ok"]"#);
        assert_eq!(ack("/admin", 12, "", 0), "43/admin,12[]");
        assert_eq!(ack("/", 789, "1", 2), "462-789[1]");
        assert_eq!(event("/", "m", "", 0), r#"42["m"]"#);
        assert_eq!(event("/admin", "m", "1,2", 2), r#"452-/admin,["m",1,2]"#);
        assert_eq!(connected("/admin", "abc", None), r#"40/admin,{"sid":"abc"}"#);
        assert_eq!(
            connected("/", "abc", Some("def")),
            r#"40{"sid":"abc","pid":"def"}"#
        );
        assert_eq!(disconnect("/"), "41");
        assert_eq!(disconnect("/admin"), "41/admin,");
        assert_eq!(
            refused("/random", "Invalid namespace", None),
            r#"44/random,{"message":"Invalid namespace"}"#
        );
        let data = json!({"code": 20104});
        assert_eq!(
            refused("/", "no", Some(&data)),
            r#"44{"message":"no","data":{"code":20104}}"#
        );
    }
}
