//! What a list does not answer.

use hubbub_core::{
    Caller, Ctx,
    channels::{self, NewChannel, UpdateChannel},
    ctx::KeyScope,
    input::Identity,
    paging::PageRequest,
    query::{Asked, Limits},
    sid::ApiKeySid,
};
use serde_json::json;

use crate::{answers::with_limits, stage::Stage};

pub(crate) fn asked(filter: &serde_json::Value, sort: Option<&serde_json::Value>) -> Asked {
    Asked {
        filter: Some(filter.to_string()),
        sort: sort.map(ToString::to_string),
        explain: true,
    }
}

pub(crate) async fn a_user_sees_with_a_filter_what_it_sees_without(stage: Stage) {
    let mut seen = Vec::new();
    for (name, kind, joined) in [
        ("open", "public", false),
        ("own", "private", true),
        ("foreign", "private", false),
    ] {
        let new = NewChannel {
            unique_name: Some(name.to_owned()),
            kind: Some(kind.to_owned()),
            attributes: Some(r#"{"n": 1}"#.to_owned()),
            ..NewChannel::default()
        };
        let channel = channels::create(&stage.ctx, new).await.unwrap();
        if joined {
            stage.member(channel.id, "alice", "{}").await;
        }
        if name != "foreign" {
            seen.push(channel.id);
        }
    }
    let caller = Caller::User {
        account: stage.ctx.account(),
        service: stage.ctx.scope(),
        identity: Identity::parse("alice").unwrap(),
        key: KeyScope {
            sid: ApiKeySid::generate(),
            service: None,
            read_only: true,
        },
        connection: None,
    };
    let alice = Ctx {
        caller,
        ..stage.ctx.clone()
    };
    for indexed in [false, true] {
        if indexed {
            stage.declare("channels", "n", "number").await;
            stage.work().await;
        }
        for sort in [
            None,
            Some(json!([{"attributes.n": -1}])),
            Some(json!([{"date_created": 1}])),
        ] {
            let asked = asked(&json!({"attributes.n": 1}), sort.as_ref());
            let page = PageRequest::first(50);
            let found = channels::search(&alice, &[], &asked, &page)
                .await
                .unwrap()
                .page
                .items;
            let ids: Vec<_> = found.iter().map(|channel| channel.id).collect();
            assert_eq!(ids, seen, "{asked:?}");
            let all = channels::search(&stage.ctx, &[], &asked, &page).await.unwrap();
            assert_eq!(all.page.items.len(), 3);
            let private = channels::search(&alice, &["private"], &asked, &page)
                .await
                .unwrap();
            assert_eq!(private.page.items.len(), 1);
        }
    }
}

pub(crate) async fn a_list_that_no_index_serves_is_refused_beyond_the_budget(stage: Stage) {
    for number in 0..12 {
        let kind = if number < 10 { "public" } else { "private" };
        let new = NewChannel {
            kind: Some(kind.to_owned()),
            attributes: Some(json!({"n": number, "s": "x", "l": [1]}).to_string()),
            ..NewChannel::default()
        };
        channels::create(&stage.ctx, new).await.unwrap();
    }
    let ctx = with_limits(
        &stage,
        Limits {
            scan_budget: 10,
            ..Limits::default()
        },
    );
    let service = stage.ctx.scope();
    let ask = async |filter: serde_json::Value, sort: Option<serde_json::Value>| {
        channels::search(&ctx, &[], &asked(&filter, sort.as_ref()), &PageRequest::first(5))
            .await
            .map(|found| found.page.items.len())
    };
    for (filter, sort, path, kind) in [
        (json!({"attributes.n": {"$gte": 3}}), None, "n", "number"),
        (json!({"attributes.n": 3}), None, "n", "number"),
        (json!({"attributes.s": {"$prefix": "x"}}), None, "s", "string"),
        (
            json!({"attributes.due": {"$lt": "2026-01-01T00:00:00Z"}}),
            None,
            "due",
            "datetime",
        ),
        (
            json!({"attributes.t": true, "attributes.s": "x"}),
            None,
            "s",
            "string",
        ),
        (
            json!({"$or": [{"type": "public"}, {"attributes.deep.er": false}]}),
            None,
            "deep.er",
            "boolean",
        ),
        (
            json!({}),
            Some(json!([{"type": 1}, {"attributes.n": 1}])),
            "n",
            "string",
        ),
    ] {
        let refused = ask(filter.clone(), sort).await.unwrap_err();
        assert_eq!(refused.code().code(), 20001);
        let message = refused.message();
        let declaration =
            format!("POST /v2/Services/{service}/AttributeIndexes Resource=channels Path={path} Type={kind}");
        assert!(
            message.contains(&format!("attributes.{path}")) && message.contains(&declaration),
            "{filter}: {message}"
        );
    }
    // Narrowed by what the database can tell, few are left to be read; what it tells alone has no budget.
    assert_eq!(
        ask(json!({"type": "private", "attributes.n": 11}), None)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        ask(json!({"members_count": 0}), Some(json!([{"type": 1}])))
            .await
            .unwrap(),
        5
    );

    stage.declare("channels", "n", "number").await;
    let building = ask(json!({"attributes.n": 3}), None).await.unwrap_err();
    assert!(building.message().contains("building"), "{building}");
    stage.work().await;
    assert_eq!(ask(json!({"attributes.n": 3}), None).await.unwrap(), 1);
    assert_eq!(ask(json!({"attributes.n": {"$gte": 0}}), None).await.unwrap(), 5);
    assert_eq!(
        ask(json!({"attributes.n": {"$lt": 4}, "attributes.s": "x"}), None)
            .await
            .unwrap(),
        4
    );
    assert_eq!(
        ask(json!({"attributes.n": {"$not": {"$gt": 0}}}), None)
            .await
            .unwrap(),
        1
    );

    stage.declare("channels", "s", "datetime").await;
    stage.work().await;
    let dates = ask(json!({"attributes.s": {"$prefix": "x"}}), None)
        .await
        .unwrap_err();
    assert!(dates.message().contains("$prefix"), "{dates}");
}

pub(crate) async fn long_values_page_and_a_page_whose_end_has_moved_is_refused(stage: Stage) {
    let long = "x".repeat(2_000);
    let mut ids = Vec::new();
    for number in 0..6 {
        let attributes = json!({"s": format!("{long}{number}")}).to_string();
        ids.push(stage.channel(&attributes).await.id);
    }
    let asked = asked(&json!({}), Some(&json!([{"attributes.s": -1}])));
    for indexed in [false, true] {
        if indexed {
            stage.declare("channels", "s", "string").await;
            stage.work().await;
        }
        let mut request = PageRequest::first(2);
        let mut found = Vec::new();
        loop {
            let page = channels::search(&stage.ctx, &[], &asked, &request)
                .await
                .unwrap()
                .page;
            found.extend(page.items.iter().map(|channel| channel.id));
            request.token = page.next;
            match &request.token {
                Some(token) => assert!(token.encode().len() < 2_000),
                None => break,
            }
        }
        let expected: Vec<_> = ids.iter().rev().copied().collect();
        assert_eq!(found, expected);
    }
    let mut request = PageRequest::first(2);
    request.token = channels::search(&stage.ctx, &[], &asked, &request)
        .await
        .unwrap()
        .page
        .next;
    let update = UpdateChannel {
        attributes: Some("{}".to_owned()),
        ..UpdateChannel::default()
    };
    channels::update(&stage.ctx, &ids[4].into(), update)
        .await
        .unwrap();
    let refused = channels::search(&stage.ctx, &[], &asked, &request)
        .await
        .unwrap_err();
    assert!(refused.message().starts_with("PageToken"), "{refused}");
}
