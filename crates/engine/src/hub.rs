//! Datasets on the Hugging Face Hub, through its HTTP API: packages are pushed to it, and histories are read from it. See
//! <https://huggingface.co/docs/hub/api>.

mod address;
mod client;
mod fetch;
mod oid;
mod push;

pub use self::address::{HubRepository, HubSource};
pub use self::client::Hub;
pub use self::push::Pushed;
