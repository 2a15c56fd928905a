//! The one list of methods: names, parameters, how they are run. Router, `rpc_modules` and the documentation page
//! are made from it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use alloy_primitives::{B256, Bytes};
use async_trait::async_trait;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    RpcError,
    decode::{Params, Spec},
};

/// A family of methods; clients write it before the underscore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// `kaia_` and its older name `klay_`.
    Kaia,
    /// `eth_`.
    Eth,
    /// `net_`.
    Net,
    /// `web3_`.
    Web3,
    /// `txpool_`.
    TxPool,
    /// `governance_`.
    Governance,
    /// `istanbul_`.
    Istanbul,
    /// `personal_`: keys that the node holds.
    Personal,
    /// `debug_`.
    Debug,
    /// `admin_`.
    Admin,
    /// `rpc_`: always served.
    Rpc,
}

impl Namespace {
    /// Every namespace.
    pub const ALL: [Self; 11] = [
        Self::Kaia,
        Self::Eth,
        Self::Net,
        Self::Web3,
        Self::TxPool,
        Self::Governance,
        Self::Istanbul,
        Self::Personal,
        Self::Debug,
        Self::Admin,
        Self::Rpc,
    ];

    /// Its name in `rpc_modules`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kaia => "kaia",
            Self::Eth => "eth",
            Self::Net => "net",
            Self::Web3 => "web3",
            Self::TxPool => "txpool",
            Self::Governance => "governance",
            Self::Istanbul => "istanbul",
            Self::Personal => "personal",
            Self::Debug => "debug",
            Self::Admin => "admin",
            Self::Rpc => "rpc",
        }
    }

    /// The prefixes under which its methods are called.
    pub const fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Kaia => &["kaia", "klay"],
            Self::Eth => &["eth"],
            Self::Net => &["net"],
            Self::Web3 => &["web3"],
            Self::TxPool => &["txpool"],
            Self::Governance => &["governance"],
            Self::Istanbul => &["istanbul"],
            Self::Personal => &["personal"],
            Self::Debug => &["debug"],
            Self::Admin => &["admin"],
            Self::Rpc => &["rpc"],
        }
    }

    /// The namespace called by this name or prefix.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ns| ns.prefixes().contains(&name))
    }
}

/// A handler: reads `params`, appends the result's JSON.
pub type Handler = Arc<dyn Fn(Option<&RawValue>, &mut Vec<u8>) -> Result<(), RpcError> + Send + Sync>;

/// Takes in raw transactions, many at a time.
#[async_trait]
pub trait Submit: Send + Sync {
    /// One answer per transaction, in order.
    async fn submit(&self, raw: Vec<Bytes>) -> Vec<Result<B256, RpcError>>;
}

/// How a method is carried out.
#[derive(Clone)]
pub enum Run {
    /// In place: reads a value or two.
    Quick(Handler),
    /// On a thread for blocking work, a bounded number at once.
    Heavy(Handler),
    /// As `Heavy`, for what takes seconds: with places of its own.
    Trace(Handler),
    /// `sendRawTransaction`: neighbours in a batch are handed over together.
    Submit(Arc<dyn Submit>),
    /// `subscribe` and `unsubscribe`: belong to a connection.
    Subscribe,
    /// The end of a subscription.
    Unsubscribe,
}

impl core::fmt::Debug for Run {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Quick(_) => "Quick",
            Self::Heavy(_) => "Heavy",
            Self::Trace(_) => "Trace",
            Self::Submit(_) => "Submit",
            Self::Subscribe => "Subscribe",
            Self::Unsubscribe => "Unsubscribe",
        })
    }
}

/// A method.
#[derive(Debug, Clone)]
pub struct Method {
    /// Where it belongs.
    pub namespace: Namespace,
    /// Its name behind the underscore.
    pub name: &'static str,
    /// Its parameters.
    pub params: &'static [Spec],
    /// How it is carried out.
    pub run: Run,
}

/// All methods of a server.
#[derive(Debug, Clone, Default)]
pub struct Table {
    methods: Vec<Method>,
    by_name: HashMap<String, usize>,
}

fn typed<P, R>(handler: impl Fn(P) -> Result<R, RpcError> + Send + Sync + 'static) -> Handler
where
    P: Params,
    R: Serialize,
{
    Arc::new(move |params, out| {
        let result = handler(P::read(params)?)?;
        serde_json::to_writer(out, &result).map_err(RpcError::from_error)
    })
}

impl Table {
    /// Adds a method; an equal name is replaced, so that an embedder can put its own in place of one of ours.
    pub fn add(&mut self, method: Method) {
        let index = self.methods.len();
        for prefix in method.namespace.prefixes() {
            self.by_name.insert(format!("{prefix}_{}", method.name), index);
        }
        self.methods.push(method);
    }

    /// Adds a method that is carried out in place.
    pub fn quick<P: Params, R: Serialize>(
        &mut self,
        namespaces: &[Namespace],
        name: &'static str,
        handler: impl Fn(P) -> Result<R, RpcError> + Send + Sync + 'static,
    ) {
        self.each(namespaces, name, P::SPECS, &Run::Quick(typed(handler)));
    }

    /// Adds a method that runs on a thread for blocking work.
    pub fn heavy<P: Params, R: Serialize>(
        &mut self,
        namespaces: &[Namespace],
        name: &'static str,
        handler: impl Fn(P) -> Result<R, RpcError> + Send + Sync + 'static,
    ) {
        self.each(namespaces, name, P::SPECS, &Run::Heavy(typed(handler)));
    }

    /// As [`Self::heavy`], for what takes seconds.
    pub fn trace<P: Params, R: Serialize>(
        &mut self,
        namespaces: &[Namespace],
        name: &'static str,
        handler: impl Fn(P) -> Result<R, RpcError> + Send + Sync + 'static,
    ) {
        self.each(namespaces, name, P::SPECS, &Run::Trace(typed(handler)));
    }

    /// Adds one method under several namespaces.
    pub fn each(&mut self, namespaces: &[Namespace], name: &'static str, params: &'static [Spec], run: &Run) {
        for namespace in namespaces.iter().copied() {
            self.add(Method { namespace, name, params, run: run.clone() });
        }
    }

    /// The method called by this full name.
    pub fn find(&self, name: &str) -> Option<&Method> {
        self.by_name.get(name).and_then(|index| self.methods.get(*index))
    }

    /// The methods that can be called, by namespace and name.
    pub fn methods(&self) -> Vec<&Method> {
        let mut list: Vec<_> = self
            .methods
            .iter()
            .enumerate()
            .filter(|(i, m)| self.by_name.get(&m.full_name()) == Some(i))
            .map(|(_, m)| m)
            .collect();
        list.sort_by_key(|m| (m.namespace, m.name));
        list
    }

    /// Namespaces with at least one method.
    pub fn namespaces(&self) -> Vec<Namespace> {
        let mut list: Vec<_> = self.methods.iter().map(|m| m.namespace).collect();
        list.sort_unstable();
        list.dedup();
        list
    }

    /// The same table with only these namespaces, and `rpc_modules` that says so.
    #[must_use]
    pub fn only(&self, namespaces: &[Namespace]) -> Self {
        let mut table = Self::default();
        for method in self.methods.iter().filter(|m| namespaces.contains(&m.namespace)) {
            table.add(method.clone());
        }
        table.with_modules()
    }

    /// Adds `rpc_modules`, which lists what is there.
    #[must_use]
    pub fn with_modules(mut self) -> Self {
        let names = self.namespaces().into_iter().chain([Namespace::Rpc]);
        let modules: BTreeMap<_, _> = names.map(|namespace| (namespace.name(), "1.0")).collect();
        self.quick(&[Namespace::Rpc], "modules", move |()| Ok(modules.clone()));
        self
    }
}

impl Method {
    /// The name under its first prefix.
    pub fn full_name(&self) -> String {
        format!("{}_{}", self.namespace.name(), self.name)
    }
}
