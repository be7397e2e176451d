//! How many objects are passed over because of their names, for the log.
//!
//! Invariant: a number is logged only once a listing has ended, so that it is that of all objects.

use program::output::escape_control;
use tracing::info;

use super::Discovered;

/// The count of the last full listing and of the looks since.
#[derive(Debug, Default)]
pub(crate) struct PassedOver {
    counted: u64,
    logged: u64,
    example: Option<String>,
}

impl PassedOver {
    /// Takes in what a look found; logs whenever there are more of these objects or fewer.
    pub(crate) fn take_in(&mut self, found: &Discovered) {
        if found.full {
            self.counted = 0;
        }
        self.counted += found.passed_over;
        if found.passed_over_example.is_some() {
            self.example.clone_from(&found.passed_over_example);
        }
        if !found.complete || self.counted == self.logged {
            return;
        }
        self.logged = self.counted;
        info!(
            objects = self.counted,
            "objects are passed over because of their names, such as {}; source.include and source.ignore change that",
            escape_control(self.example.as_deref().unwrap_or_default())
        );
    }
}
