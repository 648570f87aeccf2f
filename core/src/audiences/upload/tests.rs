use serde_json::json;

use super::*;

/// What the bytes come to, however they are cut: line and row, or line and problem.
fn csv(bytes: &[u8]) -> Result<Vec<Read>, String> {
    let whole = csv_in(bytes, bytes.len().max(1));
    for size in [1, 2, 3, 7] {
        assert_eq!(csv_in(bytes, size), whole, "in pieces of {size}");
    }
    whole
}

fn csv_in(bytes: &[u8], size: usize) -> Result<Vec<Read>, String> {
    let (mut rows, mut read) = (CsvRows::default(), Vec::new());
    let told = |refused: Error| refused.message().to_owned();
    for piece in bytes.chunks(size) {
        rows.feed(piece, &mut read).map_err(told)?;
    }
    rows.finish(&mut read).map_err(told)?;
    Ok(read)
}

fn lines(bytes: &[u8]) -> Vec<Read> {
    let read = |size: usize| {
        let (mut lines, mut read) = (JsonLines::default(), Vec::new());
        for piece in bytes.chunks(size) {
            lines.feed(piece, &mut read);
        }
        lines.finish(&mut read);
        read
    };
    let whole = read(bytes.len().max(1));
    for size in [1, 2, 5] {
        assert_eq!(read(size), whole);
    }
    whole
}

/// Line, identity and settings as `path=value`, or line and message.
fn shown(read: &Read) -> String {
    match read {
        Ok(row) => {
            let settings: Vec<String> = row
                .settings
                .iter()
                .map(|setting| format!(" {}={}", setting.path.join("."), setting.value))
                .collect();
            format!("{} {}{}", row.line, row.identity, settings.concat())
        }
        Err(rejected) => format!("{} !{}", rejected.line, rejected.message),
    }
}

fn all(read: &[Read]) -> Vec<String> {
    read.iter().map(shown).collect()
}

#[test]
fn cells_become_attributes_and_empty_ones_nothing() {
    let read = csv(b"city,identity,address.street\r\nBerlin,alice,\r\n,bob,\"A \"\"1\"\"\r\nline 2, x\"\r\n\r\n,carol,\n").unwrap();
    assert_eq!(
        all(&read),
        [
            "2 alice city=\"Berlin\"",
            "3 bob address.street=\"A \\\"1\\\"\\r\\nline 2, x\"",
            "6 carol",
        ]
    );
}

#[test]
fn a_bad_row_is_told_of_by_its_line_and_stops_none() {
    let long = "x".repeat(257);
    let text = format!("identity,a\nok,1\n,2\n\nsystem,3\nshort\nlong,1,2\n\"quo\nted\",4\n{long},5\nlast,6");
    let read = csv(text.as_bytes()).unwrap();
    let told = all(&read);
    let expected = [
        "2 ok",
        "3 !identity: Identity is missing",
        "5 !identity: Identity 'system'",
        "6 !the row has 1 cells",
        "7 !the row has 3 cells",
        "8 quo\nted",
        "10 !identity: Identity is too long",
        "11 last",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told} is not {expected}");
    }
}

#[test]
fn a_row_that_is_too_long_or_not_utf_8_is_no_harm_to_the_others() {
    let mut text = b"identity,a\n".to_vec();
    text.extend_from_slice(format!("big,{}\n", "x".repeat(ROW_BYTES)).as_bytes());
    text.extend_from_slice(b"bad,\xff\nwide");
    text.extend_from_slice(",y".repeat(300).as_bytes());
    text.extend_from_slice(b"\nlast,1\n");
    let read = csv_in(&text, 1000).unwrap();
    let told = all(&read);
    assert!(told[0].starts_with("2 !the row is longer"), "{told:?}");
    assert_eq!(told[1], "3 !the row is not UTF-8");
    assert!(told[2].starts_with("4 !the row is longer"), "{told:?}");
    assert_eq!(told[3], "5 last a=\"1\"");
}

#[test]
fn a_header_that_cannot_be_used_is_refused() {
    for (text, names) in [
        ("", "missing"),
        ("\n\n", "missing"),
        ("name,city\n", "identity"),
        ("identity,,city\n", "column 2"),
        ("identity,city,city\n", "'city'"),
        ("identity,identity\n", "'identity'"),
    ] {
        let refused = csv(text.as_bytes()).unwrap_err();
        assert!(
            refused.contains("header") && refused.contains(names),
            "{text}: {refused}"
        );
    }
    assert!(csv(b"identity").unwrap().is_empty());
    assert_eq!(all(&csv(b" identity \r\nalice").unwrap()), ["2 alice"]);
}

#[test]
fn json_lines_are_read_by_the_line() {
    let read = lines(
        b"{\"identity\": \"alice\", \"age\": 5, \"attributes\": {\"a\": null}}\r\n\n{\"identity\": 1}\n[1]\n{}\n{\"identity\": \"x\", \"attributes\": 1}\nno json\n{\"identity\":\"last\"}",
    );
    let told = all(&read);
    let expected = [
        "1 alice a=null age=5",
        "3 !identity must be a text",
        "4 !the line must be a JSON object",
        "5 !identity is missing",
        "6 !attributes must be an object",
        "7 !the line is not valid JSON",
        "8 last",
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told} is not {expected}");
    }
    let long = json!({"identity": "big", "a": "x".repeat(ROW_BYTES)}).to_string();
    let told = all(&lines(format!("{long}\n{{\"identity\":\"b\"}}\n").as_bytes()));
    assert!(told[0].starts_with("1 !the line is longer"), "{told:?}");
    assert_eq!(told[1], "2 b");
}
