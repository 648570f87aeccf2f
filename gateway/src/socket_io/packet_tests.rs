use super::*;

fn read(text: &str) -> Result<Packet, PacketError> {
    decode(&text.to_owned().into())
}

fn packet(namespace: &str, body: Body, attachments: usize) -> Result<Packet, PacketError> {
    Ok(Packet {
        namespace: namespace.into(),
        body,
        attachments,
    })
}

fn event(name: &str, args: &[&str], ack: Option<u64>) -> Body {
    Body::Event {
        name: name.into(),
        args: args.iter().map(|&arg| arg.into()).collect(),
        ack,
    }
}

#[test]
fn connecting() {
    let token = Some(r#"{"token":"x"}"#.into());
    assert_eq!(read("0"), packet("/", Body::Connect(None), 0));
    assert_eq!(
        read(r#"0{"token":"x"}"#),
        packet("/", Body::Connect(token.clone()), 0)
    );
    assert_eq!(read("0/admin,"), packet("/admin", Body::Connect(None), 0));
    assert_eq!(read("0/admin"), packet("/admin", Body::Connect(None), 0));
    assert_eq!(
        read(r#"0/admin,{"token":"x"}"#),
        packet("/admin", Body::Connect(token), 0)
    );
    assert_eq!(
        read("0/n?x=1,"),
        packet("/n?x=1", Body::Connect(None), 0),
        "kept literally"
    );
    for data in ["0[1]", "0\"x\"", "0null", "0{", "0{}{}", "012{}", "012"] {
        assert_eq!(read(data), Err(PacketError::Payload), "{data}");
    }
}

#[test]
fn disconnecting() {
    assert_eq!(read("1"), packet("/", Body::Disconnect, 0));
    assert_eq!(read("1/admin,"), packet("/admin", Body::Disconnect, 0));
    assert_eq!(read("1/admin"), packet("/admin", Body::Disconnect, 0));
    assert_eq!(read("1[1]"), Err(PacketError::Payload));
    assert_eq!(read("15"), Err(PacketError::Payload));
}

#[test]
fn events() {
    assert_eq!(
        read(r#"2["hey","Jude"]"#),
        packet("/", event("hey", &["\"Jude\""], None), 0)
    );
    assert_eq!(
        read(r#"2/admin,12["hey"]"#),
        packet("/admin", event("hey", &[], Some(12)), 0)
    );
    let args = ["1", "\"2\"", r#"{"3":[true]}"#];
    assert_eq!(
        read(r#"2["m",1, "2" ,{"3":[true]}]"#),
        packet("/", event("m", &args, None), 0)
    );
    assert_eq!(
        read("2[1]"),
        packet("/", event("1", &[], None), 0),
        "numeric names are names"
    );
    assert_eq!(
        read(r#"2["a\"b\u00e9"]"#),
        packet("/", event("a\"bé", &[], None), 0)
    );
    let big = "12345678901234567890.000000000000000001";
    assert_eq!(
        read(&format!("2[\"m\",{big}]")),
        packet("/", event("m", &[big], None), 0),
        "numbers stay exact"
    );
}

#[test]
fn broken_events() {
    for data in [
        "2",
        "2{}",
        "2[]",
        "2[null]",
        "2[true]",
        "2[{}]",
        r#"2["a"]x"#,
        r#"2abc["a"]"#,
        r#"2-1["a"]"#,
    ] {
        assert_eq!(read(data), Err(PacketError::Payload), "{data}");
    }
    for name in RESERVED {
        assert_eq!(
            read(&format!("2[\"{name}\"]")),
            Err(PacketError::ReservedName),
            "{name}"
        );
    }
    assert_eq!(
        read(r#"2["\u0063onnect"]"#),
        Err(PacketError::ReservedName),
        "escapes hide nothing"
    );
    assert_eq!(read(r#"29007199254740992["a"]"#), Err(PacketError::AckId));
    assert_eq!(read(r#"299999999999999999999["a"]"#), Err(PacketError::AckId));
}

#[test]
fn acks() {
    assert_eq!(read(r#"312["ok"]"#), packet("/", Body::Ack(Some(12)), 0));
    assert_eq!(read("3/admin,12[]"), packet("/admin", Body::Ack(Some(12)), 0));
    assert_eq!(
        read(r#"3["a"]"#),
        packet("/", Body::Ack(None), 0),
        "accepted, and ignored"
    );
    assert_eq!(read("312{}"), Err(PacketError::Payload));
}

#[test]
fn binary() {
    let first = r#"{"_placeholder":true,"num":0}"#;
    let second = r#"{"_placeholder":true,"num":1}"#;
    assert_eq!(
        read(&format!(r#"51-["m",{first}]"#)),
        packet("/", event("m", &[first], None), 1)
    );
    assert_eq!(
        read(&format!(r#"52-/admin,7["m",{first},{second}]"#)),
        packet("/admin", event("m", &[first, second], Some(7)), 2)
    );
    assert_eq!(
        read(&format!("61-12[{first}]")),
        packet("/", Body::Ack(Some(12)), 1)
    );
    assert_eq!(
        read(&format!(r#"510-["m",{{"deep":[[{first}]]}}]"#))
            .unwrap()
            .attachments,
        10
    );
    for count in ["50-", "5-", "5", "51.5-", "511-", "599999999999999999999-", "5a-"] {
        assert_eq!(
            read(&format!(r#"{count}["m"]"#)),
            Err(PacketError::Attachments),
            "{count}"
        );
    }
    assert_eq!(
        read(&format!(r#"51-["m",{second}]"#)),
        Err(PacketError::Placeholder)
    );
    for number in ["-1", "1", "0.5", "\"0\"", "null"] {
        let placeholder = format!(r#"51-["m",[{{"_placeholder":true,"num":{number}}}]]"#);
        assert_eq!(read(&placeholder), Err(PacketError::Placeholder), "{number}");
    }
}

#[test]
fn everything_else() {
    for text in ["", "abc", "7", "4", r#"4{"message":"x"}"#, "€"] {
        assert_eq!(read(text), Err(PacketError::UnknownType), "{text}");
    }
    assert_eq!(
        read(&format!("0/{}", "n".repeat(MAX_NAMESPACE))),
        Err(PacketError::Namespace)
    );
}

#[test]
fn elements_are_limited_and_may_be_nested_however_deep() {
    let many = |count: usize| ByteString::from(format!("2[\"m\"{}]", ",1".repeat(count)));
    assert!(decode(&many(255)).is_ok());
    assert_eq!(decode(&many(256)), Err(PacketError::Payload));
    let deep = format!("2[\"m\",{}{}]", "[".repeat(400_000), "]".repeat(400_000));
    assert!(decode(&deep.into()).is_ok(), "it stays text");
    let deep = format!("51-[\"m\",{}{}]", "[".repeat(400_000), "]".repeat(400_000));
    assert_eq!(decode(&deep.into()), Err(PacketError::Payload));
}
