//! Who got what: every member every message once, in order.

/// What one member was delivered of its room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Deliveries.
    pub(crate) count: u64,
    /// Deliveries whose `seq` or index was not above the one before: repeated or out of order.
    pub(crate) disordered: u64,
    sum: i64,
    last: Option<(i64, i64)>,
}

impl Tally {
    pub(crate) fn add(&mut self, seq: i64, index: i64) {
        if self
            .last
            .is_some_and(|(last_seq, last_index)| seq <= last_seq || index <= last_index)
        {
            self.disordered += 1;
        } else {
            self.last = Some((seq, index));
        }
        self.count += 1;
        self.sum += index;
    }
}

/// What was acknowledged in a room, by its sender: the number of a member, or `None` for the backend.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    sends: Vec<(Option<u32>, i64)>,
}

/// What was wrong with the deliveries.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Deliveries that should have been.
    pub(crate) expected: u64,
    /// Deliveries that were.
    pub(crate) delivered: u64,
    /// Of the expected ones, those that were not.
    pub(crate) missing: u64,
    /// Deliveries that were repeated, out of order, or of something else.
    pub(crate) wrong: u64,
    /// Indexes that were acknowledged twice or left out: the sends themselves went wrong.
    pub(crate) misnumbered: u64,
}

impl Acknowledged {
    pub(crate) fn add(&mut self, sender: Option<u32>, index: i64) {
        self.sends.push((sender, index));
    }

    /// Compares with what the members, in their order, were delivered. A member's own sends come by their acks.
    pub(crate) fn judge(&self, members: &[&Tally]) -> Verdict {
        let mut verdict = Verdict::default();
        let mut indexes: Vec<i64> = self.sends.iter().map(|&(_, index)| index).collect();
        indexes.sort_unstable();
        verdict.misnumbered = indexes.windows(2).filter(|pair| pair[1] != pair[0] + 1).count() as u64;
        let total: i64 = indexes.iter().sum();
        let mut own = vec![(0_u64, 0_i64); members.len()];
        for &(sender, index) in &self.sends {
            if let Some(own) = sender.and_then(|sender| own.get_mut(sender as usize)) {
                own.0 += 1;
                own.1 += index;
            }
        }
        for (tally, (own_count, own_sum)) in members.iter().zip(own) {
            let expected = self.sends.len() as u64 - own_count;
            verdict.expected += expected;
            verdict.delivered += tally.count;
            verdict.missing += expected.saturating_sub(tally.count);
            verdict.wrong += tally.count.saturating_sub(expected).max(tally.disordered);
            // As many as expected, and rising: then only another message in the place of an expected one is left.
            if tally.count == expected && tally.disordered == 0 && tally.sum != total - own_sum {
                verdict.wrong += 1;
            }
        }
        verdict
    }
}

impl Verdict {
    pub(crate) fn is_sound(&self) -> bool {
        self.missing == 0 && self.wrong == 0 && self.misnumbered == 0
    }
}

impl std::ops::AddAssign for Verdict {
    fn add_assign(&mut self, other: Self) {
        self.expected += other.expected;
        self.delivered += other.delivered;
        self.missing += other.missing;
        self.wrong += other.wrong;
        self.misnumbered += other.misnumbered;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(indexes: &[i64]) -> Tally {
        let mut tally = Tally::default();
        for index in indexes {
            tally.add(index + 7, *index);
        }
        tally
    }

    /// Messages 0 to 3, of which member 0 sent 1 and 2.
    fn acknowledged() -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        for (sender, index) in [(None, 0), (Some(0), 2), (Some(0), 1), (None, 3)] {
            acknowledged.add(sender, index);
        }
        acknowledged
    }

    #[test]
    fn everything_once_and_in_order_is_sound() {
        let verdict = acknowledged().judge(&[&tally(&[0, 3]), &tally(&[0, 1, 2, 3])]);
        assert!(verdict.is_sound(), "{verdict:?}");
        assert_eq!((verdict.expected, verdict.delivered), (6, 6));
    }

    #[test]
    fn whatever_else_is_not() {
        let whole = tally(&[0, 1, 2, 3]);
        for (own, what) in [
            (&[0][..], "one missing"),
            (&[3, 0], "out of order"),
            (&[0, 0], "one twice in the place of another"),
            (&[0, 3, 3], "one twice"),
            (&[0, 1], "an own one in the place of another"),
            (&[0, 1, 3], "an own one"),
        ] {
            let verdict = acknowledged().judge(&[&tally(own), &whole]);
            assert!(!verdict.is_sound(), "{what}: {verdict:?}");
        }
    }

    #[test]
    fn indexes_that_are_acknowledged_twice_or_left_out_are_found() {
        let mut twice = acknowledged();
        twice.add(None, 3);
        assert_eq!(twice.judge(&[]).misnumbered, 1);
        let mut left_out = acknowledged();
        left_out.add(None, 5);
        assert_eq!(left_out.judge(&[]).misnumbered, 1);
    }
}
