//! Headers, bodies, receipts and the roots that bind them.

pub mod base_fee;
pub mod bloom;
pub mod body;
pub mod extra;
pub mod header;
#[cfg(feature = "serde")]
mod json;
pub mod price;
pub mod receipt;
pub mod roots;
pub mod status;

pub use body::Block;
pub use extra::{ExtraView, IstanbulExtra};
pub use header::Header;
pub use price::{blob_base_fee, effective_gas_price};
pub use receipt::{Log, LogPosition, Receipt};
pub use roots::ListRoot;
pub use status::Status;
