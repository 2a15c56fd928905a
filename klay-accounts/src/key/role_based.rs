//! A key for each role.

use klay_core::Role;

use super::{AccountKey, KeyError};

/// Most roles of a key that can be installed: transaction, account update, fee payer.
pub const MAX_ROLES: usize = 3;

/// A key for each role, in the order of [`Role`]; a list that ends early falls back to the first.
///
/// # Invariant
/// A value from [`RoleBased::new`] is installable: 1 to 3 roles, none of them role-based or Nil, each installable by
/// itself. One from [`RoleBased::update`] or from the wire need not be.
///
/// Source: spec 20, sections 2.1 to 2.5.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RoleBased {
    roles: Vec<AccountKey>,
}

impl RoleBased {
    /// An installable key.
    ///
    /// # Errors
    /// With the first rule of installation that is broken.
    pub fn new(roles: Vec<AccountKey>) -> Result<Self, KeyError> {
        let key = Self::update(roles);
        key.check_installable()?;
        Ok(key)
    }

    /// The argument of an update of a role-based key, in which [`AccountKey::Nil`] keeps the role as it is; also any
    /// list that the wire holds. Whether it fits is decided by [`AccountKey::check_replacable`].
    pub const fn update(roles: Vec<AccountKey>) -> Self {
        Self { roles }
    }

    /// The roles in order.
    pub fn roles(&self) -> &[AccountKey] {
        &self.roles
    }

    /// The key that answers for `role`: its own, or the first one if the list ends before. None if there is no role
    /// at all, which no installed key allows.
    pub fn role(&self, role: Role) -> Option<&AccountKey> {
        self.roles.get(role as usize).or_else(|| self.roles.first())
    }

    pub(super) fn check_installable(&self) -> Result<(), KeyError> {
        self.check_length()?;
        self.roles.iter().try_for_each(|role| {
            if role.is_composite() {
                return Err(KeyError::NestedCompositeType);
            }
            role.check_installable()
        })
    }

    pub(super) const fn check_length(&self) -> Result<(), KeyError> {
        match self.roles.len() {
            0 => Err(KeyError::ZeroLength),
            1..=MAX_ROLES => Ok(()),
            _ => Err(KeyError::LengthTooLong),
        }
    }
}
