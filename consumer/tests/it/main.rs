//! What the consumer promises, tested through its public interfaces.

mod cli;
mod decode;
mod enforce;
mod input;
mod lake_in_a_folder;
mod protocol;
mod rows;
mod truth;
