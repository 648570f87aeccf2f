//! Each way in which a run can be unsound, put into evidence that is sound otherwise.

use super::*;

const ROOM: &str = "CH1";

/// Three messages of two who talk; a listener, and one of the two, heard them.
fn sound() -> Evidence {
    let kept: Vec<Kept> = [("ann", "ann.0"), ("ben", "ben.0"), ("ann", "ann.1")]
        .iter()
        .enumerate()
        .map(|(place, (from, body))| Kept {
            sid: format!("IM{place}"),
            index: place as i64,
            from: (*from).to_owned(),
            body: (*body).to_owned(),
        })
        .collect();
    let acked = |from: &str| -> Vec<Acked> {
        kept.iter()
            .filter(|message| message.from == from)
            .map(|message| Acked {
                channel: ROOM.to_owned(),
                sid: message.sid.clone(),
                index: message.index,
                from: message.from.clone(),
                body: message.body.clone(),
            })
            .collect()
    };
    let heard = |without: &str| -> Vec<Heard> {
        kept.iter()
            .filter(|message| message.from != without)
            .map(|message| Heard {
                channel: ROOM.to_owned(),
                seq: message.index + 4,
                message: Some((message.sid.clone(), message.index)),
            })
            .collect()
    };
    let account = |who: &str, talks: bool| Account {
        who: who.to_owned(),
        channel: ROOM.to_owned(),
        events: heard(who),
        talks,
    };
    let told = kept
        .iter()
        .map(|message| {
            let ids = BTreeMap::from([(format!("msg_{}", message.sid), 1)]);
            (message.sid.clone(), Told { ids })
        })
        .collect();
    Evidence {
        acked: vec![acked("ann"), acked("ben")],
        accounts: vec![account("eve", false), account("ann", true)],
        history: BTreeMap::from([(ROOM.to_owned(), kept)]),
        told,
    }
}

fn faults(change: impl FnOnce(&mut Evidence)) -> Vec<&'static str> {
    let mut evidence = sound();
    change(&mut evidence);
    evidence.judge().0.into_keys().collect()
}

fn history(evidence: &mut Evidence) -> &mut Vec<Kept> {
    evidence.history.get_mut(ROOM).unwrap()
}

#[test]
fn what_agrees_is_sound() {
    assert_eq!(faults(|_| {}), [""; 0]);
    // A webhook may be repeated, and who resumes may be told of its own messages.
    let allowed = |evidence: &mut Evidence| {
        *evidence
            .told
            .get_mut("IM1")
            .unwrap()
            .ids
            .get_mut("msg_IM1")
            .unwrap() = 3;
        let own = evidence.accounts[0].events[2].clone();
        evidence.accounts[1].events.push(own);
    };
    assert_eq!(faults(allowed), [""; 0]);
}

#[test]
fn acknowledgements_and_history_have_to_agree() {
    let lost = faults(|evidence| {
        history(evidence).pop();
    });
    assert!(lost.contains(&"acknowledged messages lost"), "{lost:?}");
    let unasked = faults(|evidence| {
        evidence.acked[1].clear();
    });
    assert_eq!(unasked, ["messages in history that nobody was acknowledged"]);
    let twice = faults(|evidence| {
        let again = Kept {
            sid: "IM3".to_owned(),
            index: 3,
            ..history(evidence)[2].clone()
        };
        history(evidence).push(again);
    });
    assert!(twice.contains(&"messages twice in history"), "{twice:?}");
    let gap = faults(|evidence| history(evidence)[2].index = 3);
    assert!(gap.contains(&"indexes with a gap"), "{gap:?}");
    assert!(gap.contains(&"messages other than acknowledged"), "{gap:?}");
    let disordered = faults(|evidence| evidence.acked[0].reverse());
    assert_eq!(disordered, ["messages of one sender out of order"]);
}

#[test]
fn who_listens_has_to_hear_everything_once_and_in_order() {
    let other = "users who heard something else than history";
    for who in 0..2 {
        let missed = faults(|evidence| {
            evidence.accounts[who].events.remove(0);
        });
        assert_eq!(missed, [other]);
        let again = faults(|evidence| {
            let again = evidence.accounts[who].events[0].clone();
            evidence.accounts[who].events.insert(1, again);
        });
        assert_eq!(again, ["events twice or out of order", other]);
    }
    let left_out = faults(|evidence| evidence.accounts[0].events[2].seq += 1);
    assert_eq!(left_out, ["events left out"]);
    let swapped = faults(|evidence| evidence.accounts[0].events.swap(0, 1));
    assert!(swapped.contains(&"events twice or out of order"), "{swapped:?}");
}

#[test]
fn webhooks_have_to_tell_of_each_message_under_one_id() {
    let untold = faults(|evidence| {
        evidence.told.remove("IM1");
    });
    assert_eq!(untold, ["messages that no webhook told of"]);
    let two_ids = faults(|evidence| {
        evidence
            .told
            .get_mut("IM1")
            .unwrap()
            .ids
            .insert("msg_x".to_owned(), 1);
    });
    assert_eq!(two_ids, ["messages told of under several ids"]);
    let invented = faults(|evidence| {
        let told = Told {
            ids: BTreeMap::from([("msg_y".to_owned(), 1)]),
        };
        evidence.told.insert("IM9".to_owned(), told);
    });
    assert_eq!(invented, ["webhooks of messages that are not there"]);
    let shared = faults(|evidence| {
        evidence.told.get_mut("IM1").unwrap().ids = BTreeMap::from([("msg_IM0".to_owned(), 1)]);
    });
    assert_eq!(shared, ["webhook ids of several messages"]);
}
