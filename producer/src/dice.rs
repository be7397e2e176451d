//! The only source of chance.
//!
//! Invariant: the same seed and stream give the same throws on every machine and with every version of a library.

use chacha20::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

/// Throws that follow from a seed and a stream.
///
/// ChaCha with 8 rounds: a published algorithm, so its numbers never change, unlike those of a library's "small" or
/// "standard" generator; RustCrypto keeps it, and it yields gigabytes per second. Ranges and chances are computed here,
/// as a library may change how it does that between two versions.
pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    /// Each stream of a seed is a sequence of its own.
    pub(crate) fn new(seed: u64, stream: u64) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(stream);
        Self(rng)
    }

    /// A number from 0 up to and without `limit`, which is less than 2³². The bias, below one in 2³² · limit, is nothing to events.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u64::from(self.0.next_u32()) * limit as u64) >> 32) as usize
    }

    /// Whether something of this chance happens: never at 0, always at 1.
    pub(crate) fn happens(&mut self, chance: f64) -> bool {
        // 53 bits are what an f64 holds exactly, so the comparison is the same everywhere.
        ((self.0.next_u64() >> 11) as f64) * (1.0 / (1u64 << 53) as f64) < chance
    }

    /// One of `choices`, each as likely as the others. There must be one.
    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Any 32 bits.
    pub(crate) fn bits(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 16 bytes, each any.
    pub(crate) fn bytes(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
