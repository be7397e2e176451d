//! Repeatable random draws.
//!
//! A pure function of seed, fault, request and purpose.
//! Invariant: the numbers are part of what a seed means, so they never change.

/// The draws of one fault for one matching request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dice(u64);

/// What a draw is for: each purpose has its own draw, so that none affects another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Probability = 1,
    Latency = 2,
    Cut = 3,
    Entry = 4,
    Mutation = 5,
}

impl Dice {
    /// The draws of the fault at `index` for the `number`-th request that matches it, from 0.
    pub(crate) fn new(seed: u64, index: u64, number: u64) -> Self {
        Self(mix(mix(mix(seed) ^ index) ^ number))
    }

    /// Whether something of this probability happens.
    pub(crate) fn falls(self, probability: f64) -> bool {
        // 53 bits, as many as an f64 stores exactly: from 0 to just below 1.
        let unit = (self.draw(Purpose::Probability) >> 11) as f64 / (1_u64 << 53) as f64;
        unit < probability
    }

    /// A number from 0 to just below `end`; 0 if `end` is 0.
    pub(crate) fn below(self, purpose: Purpose, end: u64) -> u64 {
        let product = u128::from(self.draw(purpose)) * u128::from(end);
        u64::try_from(product >> 64).unwrap_or_default()
    }

    /// An index into a list of this length.
    pub(crate) fn index(self, purpose: Purpose, length: usize) -> usize {
        usize::try_from(self.below(purpose, length as u64)).unwrap_or_default()
    }

    fn draw(self, purpose: Purpose) -> u64 {
        mix(self.0 ^ purpose as u64)
    }
}

/// `SplitMix64`: every bit of the input flips about half of the output's bits.
fn mix(value: u64) -> u64 {
    let mut mixed = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
