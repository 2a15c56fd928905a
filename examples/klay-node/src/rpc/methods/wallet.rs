//! Transactions that the node signs: send, sign, fill, resend, in both flavours (spec 10, section 5.4).

use std::sync::Arc;

use alloy_primitives::{Address, B256, U256};
use klay_core::{
    Signature, Signatures, TxType,
    tx::{HashedTx, RecoveredTx},
};
use klay_feedeleg::{Fee, rpc::TxArgs};
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    BOTH, ETH, KAIA,
    defaults::{check_caps, eth_args},
    fees,
    raw::refusal,
};
use crate::{
    KlaytnTx, Origin,
    rpc::{
        Namespace, RpcError, Services, Table,
        decode::{AccountUpdateRequest, EthCallRequest, HexUint64, Quantity, SendRequest, ValueTransferRequest},
        shapes::{Object, Put, bytes, tx},
    },
};

/// Gas limit of kaia_ methods where none is given.
const DEFAULT_GAS: u64 = 90_000;

pub(super) fn add(table: &mut Table, services: &Arc<Services>) {
    let wallet = Arc::new(Wallet { services: Arc::clone(services), nonces: Mutex::default() });
    add_kaia(table, &wallet);
    add_eth(table, &wallet);
    let s = Arc::clone(services);
    table.heavy(&BOTH, "pendingTransactions", move |()| {
        let own = s.addresses();
        let content = s.node.pool().content();
        let lists = own.iter().filter_map(|address| content.pending.get(address));
        Ok(lists.flat_map(|list| list.values()).map(|shared| tx::kaia(shared, None)).collect::<Vec<_>>())
    });
}

fn add_kaia(table: &mut Table, wallet: &Arc<Wallet>) {
    let w = Arc::clone(wallet);
    table.heavy(&KAIA, "sendTransaction", move |(request,): (SendRequest,)| w.send(request.0, None));
    let w = Arc::clone(wallet);
    table.heavy(&KAIA, "signTransaction", move |(request,): (SendRequest,)| {
        w.sign(request.0, None).map(|tx| signed_result(&tx))
    });
    let w = Arc::clone(wallet);
    table.heavy(&KAIA, "sendTransactionAsFeePayer", move |(request,): (SendRequest,)| {
        request.0.check_signed_by_sender().map_err(RpcError::from_error)?;
        w.submit(w.sign_as_payer(request.0, None)?)
    });
    let w = Arc::clone(wallet);
    table.heavy(&KAIA, "signTransactionAsFeePayer", move |(request,): (SendRequest,)| {
        w.sign_as_payer(request.0, None).map(|tx| signed_result(&tx))
    });
    let w = Arc::clone(wallet);
    table.heavy(&KAIA, "resend", move |(request, price, gas): (SendRequest, Option<Quantity>, Option<HexUint64>)| {
        let args = request.0;
        if args.nonce.is_none() {
            return Err(RpcError::failed("missing transaction nonce in transaction spec"));
        }
        let args = w.with_defaults(args)?;
        w.resend(args, price, gas)
    });
    add_personal(table, wallet);
}

/// The same with a password that opens a locked key for this once.
fn add_personal(table: &mut Table, wallet: &Arc<Wallet>) {
    let personal = [Namespace::Personal];
    for name in ["sendTransaction", "signAndSendTransaction"] {
        let w = Arc::clone(wallet);
        table.heavy(&personal, name, move |(request, password): (SendRequest, String)| {
            w.send(request.0, Some(&password))
        });
    }
    let w = Arc::clone(wallet);
    table.heavy(&personal, "sendValueTransfer", move |(request, password): (ValueTransferRequest, String)| {
        w.send(request.0, Some(&password))
    });
    let w = Arc::clone(wallet);
    table.heavy(&personal, "sendAccountUpdate", move |(request, password): (AccountUpdateRequest, String)| {
        w.send(request.0, Some(&password))
    });
    let w = Arc::clone(wallet);
    table.heavy(&personal, "signTransaction", move |(request, password): (SendRequest, String)| {
        w.sign(request.0, Some(&password)).map(|tx| signed_result(&tx))
    });
    let w = Arc::clone(wallet);
    table.heavy(&personal, "sendTransactionAsFeePayer", move |(request, password): (SendRequest, String)| {
        request.0.check_signed_by_sender().map_err(RpcError::from_error)?;
        w.submit(w.sign_as_payer(request.0, Some(&password))?)
    });
    let w = Arc::clone(wallet);
    table.heavy(&personal, "signTransactionAsFeePayer", move |(request, password): (SendRequest, String)| {
        w.sign_as_payer(request.0, Some(&password)).map(|tx| signed_result(&tx))
    });
}

fn add_eth(table: &mut Table, wallet: &Arc<Wallet>) {
    let w = Arc::clone(wallet);
    table.heavy(&ETH, "sendTransaction", move |(request,): (EthCallRequest,)| {
        let _held = request.nonce.is_none().then(|| w.nonces.lock());
        let tx = w.eth_transaction(&request)?;
        w.submit(w.signed(request.call.from, tx, None)?)
    });
    let w = Arc::clone(wallet);
    table.heavy(&ETH, "signTransaction", move |(request,): (EthCallRequest,)| {
        let call = &request.call;
        if call.gas.is_none() {
            return Err(RpcError::failed("gas not specified"));
        }
        if call.gas_price.is_none() && (call.max_priority_fee_per_gas.is_none() || call.max_fee_per_gas.is_none()) {
            return Err(RpcError::failed("missing gasPrice or maxFeePerGas/maxPriorityFeePerGas"));
        }
        if request.nonce.is_none() {
            return Err(RpcError::failed("nonce not specified"));
        }
        let tx = w.eth_transaction(&request)?;
        Ok(eth_result(&w.signed(request.call.from, tx, None)?))
    });
    let w = Arc::clone(wallet);
    table.heavy(&ETH, "fillTransaction", move |(request,): (EthCallRequest,)| {
        w.eth_transaction(&request).map(|tx| eth_result(&tx))
    });
    let w = Arc::clone(wallet);
    table.heavy(&ETH, "resend", move |(request, price, gas): (EthCallRequest, Option<Quantity>, Option<HexUint64>)| {
        if request.nonce.is_none() {
            return Err(RpcError::failed("missing transaction nonce in transaction spec"));
        }
        let args = eth_args(&w.services, &request)?;
        w.resend(args, price, gas)
    });
}

/// The node's keys, and a lock so that two requests do not take the same nonce.
struct Wallet {
    services: Arc<Services>,
    nonces: Mutex<()>,
}

impl Wallet {
    fn send(&self, args: TxArgs, password: Option<&str>) -> Result<Value, RpcError> {
        let _held = args.nonce.is_none().then(|| self.nonces.lock());
        self.submit(self.sign(args, password)?)
    }

    fn sign(&self, args: TxArgs, password: Option<&str>) -> Result<KlaytnTx, RpcError> {
        let is_typed = args.type_int.and_then(TxType::from_code).is_some_and(TxType::is_ethereum);
        let has_no_cap = args.max_priority_fee_per_gas.is_none() || args.max_fee_per_gas.is_none();
        if is_typed && args.gas_price.is_none() && has_no_cap {
            return Err(RpcError::failed("missing gasPrice or maxFeePerGas/maxPriorityFeePerGas"));
        }
        let from = args.from;
        let tx = self.with_defaults(args)?.to_tx().map_err(RpcError::from_error)?;
        self.signed(from, tx, password)
    }

    fn signed(&self, from: Address, mut tx: KlaytnTx, password: Option<&str>) -> Result<KlaytnTx, RpcError> {
        let chain_id = self.services.node.config().chain_id;
        let signature = self.signature(from, tx.signing_hash(Some(chain_id)), password)?;
        match &mut tx {
            KlaytnTx::Legacy(tx) => tx.signature = signature.with_chain_id(chain_id),
            KlaytnTx::Ethereum(tx) => tx.signature = signature,
            KlaytnTx::Klaytn(tx) => tx.signatures = Signatures::new(vec![signature.with_chain_id(chain_id)]),
        }
        Ok(tx)
    }

    fn signature(&self, address: Address, hash: B256, password: Option<&str>) -> Result<Signature, RpcError> {
        self.services.sign(address, hash, password)
    }

    fn sign_as_payer(&self, args: TxArgs, password: Option<&str>) -> Result<KlaytnTx, RpcError> {
        let invalid = || RpcError::failed("invalid fee payer is set");
        let tx = self.with_defaults(args)?.to_tx().map_err(RpcError::from_error)?;
        let KlaytnTx::Klaytn(mut tx) = tx else { return Err(invalid()) };
        let chain_id = self.services.node.config().chain_id;
        let hash = tx.payer_signing_hash(chain_id).ok_or_else(invalid)?;
        let Fee::Payer(payer) = &mut tx.fee else { return Err(invalid()) };
        let signature = self.signature(payer.address, hash, password)?;
        payer.signatures = Signatures::new(vec![signature.with_chain_id(chain_id)]);
        Ok(KlaytnTx::Klaytn(tx))
    }

    fn submit(&self, tx: KlaytnTx) -> Result<Value, RpcError> {
        let chain_id = self.services.node.config().chain_id;
        let recovered = RecoveredTx::recover(tx, chain_id).map_err(RpcError::from_error)?;
        let hash = self.services.node.pool().add(Arc::new(recovered), Origin::Local).map_err(|e| refusal(&e, &[]))?;
        Ok(bytes(hash))
    }

    /// Fills in what a caller of the kaia_ methods may leave out.
    fn with_defaults(&self, mut args: TxArgs) -> Result<TxArgs, RpcError> {
        let s = &*self.services;
        let tx_type = args.tx_type().map_err(RpcError::from_error)?;
        args.type_int.get_or_insert(0);
        args.gas.get_or_insert(DEFAULT_GAS);
        if tx_type.is_ethereum() {
            args.chain_id.get_or_insert(U256::from(s.node.config().chain_id));
        }
        let price = fees::suggested_price(s)?;
        if matches!(tx_type, TxType::ETHEREUM_DYNAMIC_FEE | TxType::ETHEREUM_SET_CODE) {
            let tip = *args.max_priority_fee_per_gas.get_or_insert(fees::suggested_tip(s)?);
            let is_magma = s.node.chain().next_base_fee().is_some();
            let cap = *args.max_fee_per_gas.get_or_insert(if is_magma { price } else { tip });
            check_caps(is_magma, cap, tip, price)?;
        } else {
            args.gas_price.get_or_insert(price);
        }
        if args.nonce.is_none() {
            args.nonce = Some(s.node.pool().pending_nonce(args.from));
        }
        Ok(args)
    }

    fn eth_transaction(&self, request: &EthCallRequest) -> Result<KlaytnTx, RpcError> {
        eth_args(&self.services, request)?.to_tx().map_err(RpcError::from_error)
    }

    /// Signs a waiting transaction again, with another price or gas limit.
    fn resend(&self, mut args: TxArgs, price: Option<Quantity>, gas: Option<HexUint64>) -> Result<Value, RpcError> {
        let chain_id = self.services.node.config().chain_id;
        let wanted = args.to_tx().map_err(RpcError::from_error)?;
        let signing_hash = wanted.signing_hash(Some(chain_id));
        let content = self.services.node.pool().content();
        let is_waiting = content
            .pending
            .get(&args.from)
            .is_some_and(|list| list.values().any(|tx| tx.tx().signing_hash(Some(chain_id)) == signing_hash));
        if !is_waiting {
            return Err(RpcError::failed(format!("Transaction {} not found", wanted.hash())));
        }
        if let Some(price) = price.filter(|price| !price.0.is_zero()) {
            args.gas_price = Some(price.0);
        }
        if let Some(gas) = gas.filter(|gas| gas.0 != 0) {
            args.gas = Some(gas.0);
        }
        let tx = args.to_tx().map_err(RpcError::from_error)?;
        self.submit(self.signed(args.from, tx, None)?)
    }
}

fn signed_result(signed: &KlaytnTx) -> Value {
    json!({ "raw": bytes(signed.encode()), "tx": tx::bare(signed) })
}

/// As Ethereum's clients expect it: the raw form without Klaytn's envelope, and every price member present.
fn eth_result(tx: &KlaytnTx) -> Value {
    let raw = bytes(tx.encode_ethereum());
    let view = tx.view();
    let mut object: Object = HashedTx::new(tx.clone()).to_eth_json(Address::ZERO);
    object.remove("from");
    for name in ["maxFeePerGas", "maxPriorityFeePerGas"] {
        object.entry(name).or_insert(Value::Null);
    }
    if view.is_dynamic {
        object.put("gasPrice", Value::Null);
    }
    json!({ "raw": raw, "tx": object })
}
