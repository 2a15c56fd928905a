//! Reading accounts, whoever holds them.

use klay_accounts::StateAccount;
use klay_core::Address;

use super::StateError;

/// Something that accounts can be read from: a state, or a block that is being executed.
pub trait AccountSource {
    /// Calls `read` with the account at `address`, `None` where there is none.
    ///
    /// # Errors
    /// If the state cannot be read.
    fn read_account<R>(&self, address: Address, read: impl FnOnce(Option<&StateAccount>) -> R)
    -> Result<R, StateError>;
}

impl<S: AccountSource> AccountSource for &S {
    fn read_account<R>(
        &self,
        address: Address,
        read: impl FnOnce(Option<&StateAccount>) -> R,
    ) -> Result<R, StateError> {
        (**self).read_account(address, read)
    }
}
