//! The only source of randomness.
//!
//! Invariant: the same seed and stream give the same numbers on every machine and with every library version.

use chacha20::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Random numbers from a seed and a stream number.
///
/// ChaCha with 8 rounds is a published algorithm, so its numbers never change, unlike those of a library's "small" or
/// "standard" generator. RustCrypto maintains it, and it yields gigabytes per second. Ranges and chances are computed
/// here, because a library may change how it computes them.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Each stream of a seed is a separate sequence.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number from 0 to below `limit`, which must be less than 2³². The bias is below `limit` / 2³², which is
    /// negligible here.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u64::from(self.0.next_u32()) * limit as u64) >> 32) as usize
    }

    /// True with this chance: never at 0, always at 1.
    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        // An f64 stores 53 bits exactly, so the comparison is the same everywhere.
        ((self.0.next_u64() >> 11) as f64) * (1.0 / (1u64 << 53) as f64) < chance
    }

    /// One of `choices`, all equally likely. There must be at least one.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// 32 random bits.
    pub(crate) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 16 random bytes.
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
