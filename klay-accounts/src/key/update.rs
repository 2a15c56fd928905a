//! What may become an account's key, and what comes of it.

use super::{AccountKey, KeyError, RoleBased};

impl AccountKey {
    /// Whether the key may be given to an account that has a key of another type.
    ///
    /// # Errors
    /// With the first rule that is broken, in the reference client's order.
    ///
    /// Source: spec 20, section 2.3.
    pub fn check_installable(&self) -> Result<(), KeyError> {
        match self {
            Self::Nil => Err(KeyError::AccountKeyNilUninitializable),
            Self::Legacy | Self::Fail | Self::Public(_) => Ok(()),
            Self::WeightedMultiSig(key) => key.check_installable(),
            Self::RoleBased(key) => key.check_installable(),
        }
    }

    /// Whether `new` may take the place of this key.
    ///
    /// # Errors
    /// With the first rule that is broken, in the reference client's order.
    ///
    /// Source: spec 20, section 2.4.
    pub fn check_replacable(&self, new: &Self) -> Result<(), KeyError> {
        match (self, new) {
            (Self::Fail, Self::Fail) => Err(KeyError::AccountKeyFailNotUpdatable),
            (Self::RoleBased(old), Self::RoleBased(new)) => old.check_replacable(new),
            (_, new) => new.check_installable(),
        }
    }

    /// The key of the account after an update by `new`.
    ///
    /// A role-based key is updated role by role and never gets shorter; every other key is replaced as a whole.
    ///
    /// ```
    /// use klay_accounts::{AccountKey, RoleBased};
    /// # use klay_accounts::KeyError;
    ///
    /// let old = AccountKey::from(RoleBased::new(vec![AccountKey::Legacy, AccountKey::Legacy])?);
    /// let new = AccountKey::from(RoleBased::update(vec![AccountKey::Nil, AccountKey::Fail]));
    /// let after = AccountKey::from(RoleBased::new(vec![AccountKey::Legacy, AccountKey::Fail])?);
    /// assert_eq!(old.updated_by(&new)?, after);
    /// # Ok::<_, KeyError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Self::check_replacable`].
    pub fn updated_by(&self, new: &Self) -> Result<Self, KeyError> {
        self.check_replacable(new)?;
        Ok(match (self, new) {
            (Self::RoleBased(old), Self::RoleBased(new)) => old.merged_with(new).into(),
            (_, new) => new.clone(),
        })
    }
}

impl RoleBased {
    fn check_replacable(&self, new: &Self) -> Result<(), KeyError> {
        new.check_length()?;
        new.roles().iter().enumerate().try_for_each(|(i, new)| match (self.roles().get(i), new) {
            (_, new) if new.is_composite() => Err(KeyError::NestedCompositeType),
            (Some(_), AccountKey::Nil) => Ok(()),
            (Some(old), new) => old.check_replacable(new),
            (None, new) => new.check_installable(),
        })
    }

    fn merged_with(&self, new: &Self) -> Self {
        let mut roles = self.roles().to_vec();
        for (i, new) in new.roles().iter().enumerate() {
            match (roles.get_mut(i), new) {
                (Some(_), AccountKey::Nil) => {}
                (Some(old), new) => *old = new.clone(),
                (None, new) => roles.push(new.clone()),
            }
        }
        Self::update(roles)
    }
}
