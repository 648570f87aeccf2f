//! What `Explain` tells, and that every way to a page is taken.

use hubbub_core::{Ctx, channels, channels::NewChannel, paging::PageRequest, query::Limits};
use serde_json::{Value, json};

use crate::{
    answers::{TINY, with_limits},
    bounds::asked,
    stage::Stage,
};

async fn explained(ctx: &Ctx, filter: Value, sort: Option<Value>) -> (Vec<String>, Value) {
    let found = channels::search(ctx, &[], &asked(&filter, sort.as_ref()), &PageRequest::first(5))
        .await
        .unwrap();
    let names = found
        .page
        .items
        .into_iter()
        .map(|row| row.unique_name.unwrap())
        .collect();
    (names, serde_json::to_value(found.explain.unwrap()).unwrap())
}

async fn populate(stage: &Stage) {
    for number in 0..80 {
        let new = NewChannel {
            unique_name: Some(format!("{number:02}")),
            attributes: Some(
                json!({"rare": number % 40, "often": number % 2, "third": number % 3, "rank": 1000 - number, "l": [number % 5]})
                    .to_string(),
            ),
            ..NewChannel::default()
        };
        channels::create(&stage.ctx, new).await.unwrap();
    }
}

pub(crate) async fn the_plan_names_the_index_that_leads(stage: Stage) {
    populate(&stage).await;
    let (names, plan) = explained(&stage.ctx, json!({"attributes.rare": 7}), None).await;
    assert_eq!(names, ["07", "47"]);
    assert_eq!(
        (&plan["plan"], &plan["index"], &plan["scanned"]),
        (&json!("scan"), &json!(null), &json!(80))
    );

    let rare = stage.declare("channels", "rare", "number").await.to_string();
    let rank = stage.declare("channels", "rank", "number").await.to_string();
    let list = stage.declare("channels", "l", "number").await.to_string();
    stage.work().await;
    let ctx = with_limits(&stage, TINY);
    for (filter, sort, leads) in [
        (json!({"attributes.rare": 7}), None, &rare),
        (
            json!({"attributes.rare": 7}),
            Some(json!([{"attributes.rank": 1}])),
            &rare,
        ),
        (json!({}), Some(json!([{"attributes.rank": 1}])), &rank),
        (
            json!({"type": "public"}),
            Some(json!([{"attributes.rank": 1}])),
            &rank,
        ),
        (json!({"attributes.l": {"$contains": 3}}), None, &list),
    ] {
        let (_, plan) = explained(&ctx, filter.clone(), sort).await;
        assert_eq!(
            (&plan["plan"], &plan["index"]),
            (&json!("index"), &json!(leads)),
            "{filter}: {plan}"
        );
        assert_eq!(plan["scanned"], 0);
    }
    // Narrowed by an index, the rest is read.
    let (names, plan) = explained(&ctx, json!({"attributes.rare": 7, "attributes.third": 2}), None).await;
    assert_eq!(names, ["47"]);
    assert_eq!(
        (&plan["plan"], &plan["index"], &plan["scanned"]),
        (&json!("scan"), &json!(rare), &json!(2))
    );
    let (_, plan) = explained(&ctx, json!({"type": "public"}), None).await;
    assert_eq!((&plan["plan"], &plan["index"]), (&json!("table"), &json!(null)));
}

/// Whatever the thresholds, the same answer.
pub(crate) async fn every_way_to_a_page_is_taken(stage: Stage) {
    populate(&stage).await;
    for path in ["rare", "often", "third", "rank", "l"] {
        stage.declare("channels", path, "number").await;
    }
    stage.work().await;
    let limits = [
        Limits::default(),
        TINY,
        Limits { few: 0, ..TINY },
        Limits {
            few: 0,
            many: 1_000,
            walk: 1_000,
            nearby: 6,
            ..TINY
        },
        Limits {
            few: 0,
            many: 1_000,
            walk: 7,
            nearby: 6,
            ..TINY
        },
        Limits {
            few: 0,
            many: 0,
            nearby: 6,
            ..TINY
        },
        Limits {
            few: 0,
            many: 0,
            nearby: 6,
            stroll: 1_000,
            ..TINY
        },
    ];
    for (filter, sort, expected) in [
        (
            json!({"attributes.often": 1}),
            Some(json!([{"attributes.rank": 1}])),
            ["79", "77", "75", "73", "71"],
        ),
        (
            json!({"attributes.often": 1, "attributes.third": 1}),
            Some(json!([{"attributes.rank": -1}])),
            ["01", "07", "13", "19", "25"],
        ),
        (
            json!({"attributes.often": 1}),
            Some(json!([{"attributes.third": -1}, {"attributes.rank": 1}])),
            ["77", "71", "65", "59", "53"],
        ),
        (
            json!({"attributes.often": 0, "attributes.l": {"$contains": 4}}),
            None,
            ["04", "14", "24", "34", "44"],
        ),
        (
            json!({"attributes.rank": {"$gt": 930}, "attributes.third": 0}),
            None,
            ["00", "03", "06", "09", "12"],
        ),
        (
            json!({"attributes.rank": {"$in": [1000, 999, 998, 997, 996, 995]}, "type": "public"}),
            Some(json!([{"unique_name": -1}])),
            ["05", "04", "03", "02", "01"],
        ),
    ] {
        for limits in limits {
            let ctx = with_limits(&stage, limits);
            let (names, plan) = explained(&ctx, filter.clone(), sort.clone()).await;
            assert_eq!(names, expected, "{filter} {limits:?} {plan}");
        }
    }
}
