//! The law of every commit: nothing is lost or doubled.

use std::collections::BTreeSet;

use super::{Commit, InputOutcome};
use crate::keys::ZoneName;

impl Commit {
    /// Whether the commit obeys the law, for each input, over all inputs, over all files and over all reasons:
    ///
    /// - `records read + dead letters resolved = rows + dead letters + discarded`;
    /// - the rows in the files that it adds are its own and those of the files that it removes, so that a rewrite,
    ///   which reads and resolves nothing, keeps the same number of rows; the same for dead letters.
    ///
    /// # Errors
    /// What does not add up, in words.
    pub fn check_balance(&self) -> Result<(), String> {
        for input in &self.inputs {
            if u128::from(input.records_read) != u128::from(input.rows) + u128::from(input.dead_letters) {
                return Err(format!(
                    "does not balance: {} has {} records, {} rows and {} dead letters",
                    input.key, input.records_read, input.rows, input.dead_letters
                ));
            }
        }
        self.check_files()?;
        let totals = &self.totals;
        let (read, resolved) = (u128::from(totals.records_read), u128::from(totals.resolved));
        let (rows, dead_letters) = (u128::from(totals.rows), u128::from(totals.dead_letters));
        if read + resolved != rows + dead_letters + u128::from(totals.discarded) {
            return Err(format!(
                "does not balance: {read} records read and {resolved} dead letters resolved, and {rows} rows, {dead_letters} \
                 dead letters and {} discarded",
                totals.discarded
            ));
        }
        let of_inputs = |count: fn(&InputOutcome) -> u64| sum(self.inputs.iter().map(count));
        let by_reason = sum(totals.dead_letters_by_reason.values().copied());
        let resolved_by_reason = sum(totals.resolved_by_reason.values().copied());
        let resolved_in_files = sum(self.resolved.iter().map(|resolved| resolved.dead_letters));
        let mut sums = vec![
            ("records", read, of_inputs(|input| input.records_read)),
            ("rows and rows removed", rows + self.removed_in(ZoneName::Bronze), self.added_in(ZoneName::Bronze)),
            (
                "dead letters and dead letters removed",
                dead_letters + self.removed_in(ZoneName::DeadLetters),
                self.added_in(ZoneName::DeadLetters),
            ),
            ("dead letters by reason", dead_letters, by_reason),
            ("dead letters resolved", resolved, resolved_in_files),
            ("dead letters resolved by reason", resolved, resolved_by_reason),
        ];
        if totals.resolved == 0 {
            sums.push(("rows", rows, of_inputs(|input| input.rows)));
            sums.push(("dead letters", dead_letters, of_inputs(|input| input.dead_letters)));
        }
        match sums.iter().find(|(_, total, sum)| total != sum) {
            Some((what, total, sum)) => Err(format!("does not balance: {total} {what} in total, {sum} when added up")),
            None => Ok(()),
        }
    }

    /// Checks the file names: data files only, and no name twice.
    fn check_files(&self) -> Result<(), String> {
        let is_data = |zone| matches!(zone, ZoneName::Bronze | ZoneName::DeadLetters);
        let added = self.files.iter().map(|file| &file.key);
        let removed = self.removed.iter().map(|file| &file.key);
        let mut keys: Vec<_> = added.chain(removed).collect();
        if let Some(other) = keys.iter().find(|key| !is_data(key.zone())) {
            return Err(format!("names {other}, which is not a data file"));
        }
        keys.sort_by_cached_key(|key| key.to_string());
        if let Some(twice) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("names {} twice", twice[0]));
        }
        for resolved in &self.resolved {
            let is_counted = resolved.ids.as_ref().is_none_or(|ids| {
                let distinct: BTreeSet<_> = ids.iter().collect();
                distinct.len() == ids.len() && ids.len() as u64 == resolved.dead_letters
            });
            if resolved.file.zone() != ZoneName::DeadLetters || !is_counted {
                return Err(format!("does not balance: it resolves {} of {}", resolved.dead_letters, resolved.file));
            }
        }
        Ok(())
    }

    fn added_in(&self, zone: ZoneName) -> u128 {
        sum(self.files.iter().filter(|file| file.key.zone() == zone).map(|file| file.rows))
    }

    fn removed_in(&self, zone: ZoneName) -> u128 {
        sum(self.removed.iter().filter(|file| file.key.zone() == zone).map(|file| file.rows))
    }
}

/// Counts come from files that may be damaged: their sum may exceed 64 bits.
fn sum(counts: impl Iterator<Item = u64>) -> u128 {
    counts.map(u128::from).sum()
}
