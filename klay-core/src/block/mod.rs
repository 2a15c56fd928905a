//! Headers, bodies, receipts and the roots that bind them.

pub mod bloom;
pub mod body;
pub mod extra;
pub mod header;
pub mod receipt;
pub mod roots;

pub use body::Block;
pub use extra::IstanbulExtra;
pub use header::Header;
pub use receipt::{Log, Receipt, Status};
pub use roots::ListRoot;
