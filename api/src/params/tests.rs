use hubbub_core::Timestamp;
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "PascalCase")]
struct Form {
    friendly_name: Option<String>,
    reachability_enabled: Option<bool>,
    typing_indicator_timeout: Option<i64>,
    #[serde(rename = "Limits.ChannelMembers")]
    limit_channel_members: Option<i64>,
    date_created: Option<Date>,
    #[serde(default)]
    permission: Vec<String>,
    last_consumed_message_index: Option<Clearable>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Required {
    identity: String,
}

fn form(text: &str) -> Result<Form> {
    Params::from_form(text.as_bytes())?.read()
}

fn json(text: &str) -> Result<Form> {
    Params::from_json(text.as_bytes())?.read()
}

#[test]
fn a_form_and_a_json_object_of_the_same_names_read_the_same() {
    let expected = Form {
        friendly_name: Some("a b é".to_owned()),
        reachability_enabled: Some(true),
        typing_indicator_timeout: Some(5),
        limit_channel_members: Some(-7),
        date_created: Timestamp::parse("2015-12-16T22:18:37Z").map(|_| read_date("2015-12-16T22:18:37Z")),
        permission: vec!["one".to_owned(), "two".to_owned()],
        last_consumed_message_index: Some(Clearable(Some(3))),
    };
    assert_eq!(
        form(
            "FriendlyName=a+b%20%C3%A9&ReachabilityEnabled=True&TypingIndicatorTimeout=5&Limits.ChannelMembers=-7\
             &DateCreated=2015-12-16T22%3A18%3A37Z&Permission=one&Permission=two&LastConsumedMessageIndex=3"
        )
        .unwrap(),
        expected
    );
    assert_eq!(
        json(
            r#"{"FriendlyName": "a b é", "ReachabilityEnabled": true, "TypingIndicatorTimeout": 5,
                "Limits.ChannelMembers": "-7", "DateCreated": "2015-12-16T22:18:37Z",
                "Permission": ["one", "two"], "LastConsumedMessageIndex": 3}"#
        )
        .unwrap(),
        expected
    );
}

fn read_date(text: &str) -> Date {
    let params = Params::from_form(format!("DateCreated={text}").as_bytes()).unwrap();
    params.read::<Form>().unwrap().date_created.unwrap()
}

#[test]
fn absent_null_and_unknown_parameters_change_nothing_and_empty_ones_do() {
    let nothing = json(r#"{"FriendlyName": null, "Unknown": {"a": 1}}"#).unwrap();
    assert_eq!(nothing, form("").unwrap());
    assert_eq!(nothing.friendly_name, None);
    assert_eq!(form("FriendlyName=").unwrap().friendly_name.as_deref(), Some(""));
    assert_eq!(form("FriendlyName").unwrap().friendly_name.as_deref(), Some(""));
    let cleared = form("LastConsumedMessageIndex=").unwrap();
    assert_eq!(cleared.last_consumed_message_index, Some(Clearable(None)));
    assert_eq!(json(r#"{"Permission": "one"}"#).unwrap().permission, ["one"]);
}

#[test]
fn a_wrong_value_is_refused_with_its_name_and_code() {
    for (text, code, name) in [
        ("ReachabilityEnabled=perhaps", 20001, "ReachabilityEnabled"),
        ("TypingIndicatorTimeout=soon", 50053, "TypingIndicatorTimeout"),
        ("TypingIndicatorTimeout=5.5", 50053, "TypingIndicatorTimeout"),
        ("Limits.ChannelMembers=", 50061, "Limits.ChannelMembers"),
        ("DateCreated=yesterday", 50308, "DateCreated"),
        ("LastConsumedMessageIndex=x", 50406, "LastConsumedMessageIndex"),
        ("FriendlyName=%zz", 20001, "FriendlyName"),
        ("FriendlyName=100%", 20001, "FriendlyName"),
        ("FriendlyName=%ff%fe", 20001, "FriendlyName"),
        ("FriendlyName=a%00b", 20001, "FriendlyName"),
        ("Permission=one&Permission=a%00b", 20001, "Permission"),
    ] {
        let refused = form(text).unwrap_err();
        assert_eq!(refused.code().code(), code, "{text}");
        assert!(refused.message().contains(name), "{text}: {}", refused.message());
    }
    for (text, name) in [
        (r#"{"FriendlyName": {"a": 1}}"#, "FriendlyName"),
        (r#"{"FriendlyName": 5}"#, "FriendlyName"),
        (r#"{"Permission": [{"a": 1}]}"#, "Permission"),
        (r#"{"Permission": 5}"#, "Permission"),
        (r#"{"Permission": [5]}"#, "Permission"),
        (r#"{"Permission": ["a\u0000b"]}"#, "Permission"),
        (r#"{"ReachabilityEnabled": 1}"#, "ReachabilityEnabled"),
        (r#"{"FriendlyName": "#, "JSON"),
        ("[1, 2]", "JSON object"),
        ("\u{feff}", "JSON"),
    ] {
        let refused = json(text).unwrap_err();
        assert_eq!(refused.code().code(), 20001, "{text}");
        assert!(refused.message().contains(name), "{text}: {}", refused.message());
    }
}

#[test]
fn a_missing_parameter_is_named_as_twilio_names_it() {
    let refused = Params::default().read::<Required>().unwrap_err();
    assert_eq!(
        refused.message(),
        "Missing required parameter Identity in the post body"
    );
    let params = Params::from_form(b"Identity=alice").unwrap();
    assert_eq!(params.read::<Required>().unwrap().identity, "alice");
}

#[test]
fn an_item_reads_like_the_form_of_a_single_call() {
    let item =
        serde_json::json!({ "friendly_name": "a", "last_consumed_message_index": 3, "date_created": null });
    let read: Form = Params::from_item(item).unwrap().read().unwrap();
    assert_eq!(read.friendly_name.as_deref(), Some("a"));
    assert_eq!(read.last_consumed_message_index, Some(Clearable(Some(3))));
    for no_object in ["5", "[]", "\"a\"", "null"] {
        let item = serde_json::from_str(no_object).unwrap();
        assert_eq!(Params::from_item(item).unwrap_err().code().code(), 20001);
    }
}

#[test]
fn a_list_is_taken_as_itself_or_as_its_text() {
    let list = |params: Result<Params>| params.unwrap().list("Items", 2);
    assert_eq!(
        list(Params::from_form(b"Items=%5B1%2C2%5D"))
            .unwrap()
            .unwrap()
            .len(),
        2
    );
    for text in [r#"{"Items": [1, 2]}"#, r#"{"Items": "[1, 2]"}"#] {
        assert_eq!(
            list(Params::from_json(text.as_bytes())).unwrap().unwrap().len(),
            2
        );
    }
    assert_eq!(list(Params::from_form(b"")).unwrap(), None);
    for refused in [
        Params::from_form(b"Items=%5B1%2C2%2C3%5D"),
        Params::from_form(b"Items=1"),
        Params::from_form(b"Items="),
        Params::from_form(b"Items=%5B%5D&Items=%5B%5D"),
        Params::from_json(br#"{"Items": {"a": 1}}"#),
        Params::from_json(br#"{"Items": "nonsense"}"#),
    ] {
        let error = list(refused).unwrap_err();
        assert_eq!(error.code().code(), 20001);
        assert!(error.message().contains("Items"), "{}", error.message());
    }
}

#[test]
fn an_object_is_taken_as_itself_or_as_its_text() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct WithHeaders {
        headers: Option<Object>,
    }

    let read = |params: Result<Params>| params.unwrap().read::<WithHeaders>();
    for given in [
        Params::from_form(b"Headers=%7B%22A%22%3A%22b%22%7D"),
        Params::from_json(br#"{"Headers": {"A": "b"}}"#),
        Params::from_json(br#"{"Headers": "{\"A\": \"b\"}"}"#),
    ] {
        let headers = read(given).unwrap().headers.unwrap().0;
        assert_eq!(serde_json::Value::Object(headers), serde_json::json!({"A": "b"}));
    }
    assert!(
        read(Params::from_form(b"Headers="))
            .unwrap()
            .headers
            .unwrap()
            .0
            .is_empty()
    );
    assert!(read(Params::from_form(b"")).unwrap().headers.is_none());
    for refused in [
        Params::from_form(b"Headers=x"),
        Params::from_form(b"Headers=%5B%5D"),
        Params::from_json(br#"{"Headers": ["A"]}"#),
        Params::from_json(br#"{"Headers": 5}"#),
    ] {
        let error = read(refused).unwrap_err();
        assert_eq!(error.code().code(), 20001);
        assert_eq!(error.message(), "Headers must be a JSON object");
    }
}
