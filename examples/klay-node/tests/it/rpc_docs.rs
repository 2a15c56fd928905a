//! `docs/rpc.md` is the method table, and the table has what clients need.

use std::fmt::Write as _;

use klay_node::{
    Node, NodeConfig,
    dev::{self, DevAccounts},
    node::Authority,
    rpc::{Limits, Namespace, Run, Services, Table, table, with_chain_files},
};

async fn methods() -> Table {
    let accounts = DevAccounts::derive(dev::MNEMONIC, 1).unwrap();
    let authority = Some(Authority::instant(accounts.authority.clone()));
    let config = NodeConfig { authority, ..NodeConfig::new(accounts.genesis(dev::CHAIN_ID).unwrap()) };
    let services = Services::new(Node::start(config).await.unwrap(), Limits::default());
    with_chain_files(table(&services), &services)
}

fn page(table: &Table) -> String {
    let mut page = String::from(
        "# JSON-RPC methods\n\n\
        What `klay-node` serves, made from its method table. Parameters show the type that error messages name; `?` may \
        be left out. `klay_` is another name of `kaia_`. Raw transactions that stand next to each other in a batch reach \
        the pool together; methods marked `thread` run on threads for blocking work, a bounded number at once. \
        `admin_exportChain`, `admin_importChain` and `admin_importChainFromString` are served with `--admin` only; so are `admin_addPeer` and `admin_removePeer` by a node that has a network, and other nodes only check the address. \
        `istanbul_getEvidence`, which the reference client does not have, is served by a node that takes part in consensus: \
        see [network.md](network.md#evidence).\n",
    );
    for namespace in Namespace::ALL {
        let rows: Vec<_> = table.methods().into_iter().filter(|m| m.namespace == namespace).collect();
        if rows.is_empty() {
            continue;
        }
        write!(page, "\n## {}\n\n| Method | Parameters | |\n|---|---|---|\n", namespace.name()).unwrap();
        for method in rows {
            let params: Vec<_> =
                method.params.iter().map(|p| format!("`{}`{}", p.go, if p.optional { "?" } else { "" })).collect();
            let how = match method.run {
                Run::Heavy(_) | Run::Trace(_) => "thread",
                Run::Submit(_) => "pool",
                Run::Subscribe | Run::Unsubscribe => "WebSocket",
                Run::Quick(_) => "",
            };
            writeln!(page, "| {} | {} | {how} |", method.name, params.join(", ")).unwrap();
        }
    }
    page
}

#[tokio::test]
async fn the_page_is_up_to_date() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rpc.md");
    let page = page(&methods().await);
    if std::env::var_os("KLAY_BLESS").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert!(kept == page, "docs/rpc.md is not what the table says; run this test with KLAY_BLESS=1");
}

#[tokio::test]
async fn every_method_that_clients_call_in_ordinary_work_is_served() {
    let table = methods().await;
    let kaia = "blockNumber chainID chainId syncing gasPrice upperBoundGasPrice lowerBoundGasPrice maxPriorityFeePerGas \
        feeHistory getBalance getTransactionCount getCode getAccount getAccountKey accountCreated isContractAccount \
        encodeAccountKey decodeAccountKey getBlockByNumber getBlockByHash getHeaderByNumber getHeaderByHash \
        getBlockReceipts getBlockWithConsensusInfoByNumber getBlockWithConsensusInfoByHash getTransactionByHash \
        getTransactionBySenderTxHash getTransactionReceipt getRawTransactionByHash call estimateGas \
        estimateComputationCost sendRawTransaction sendTransaction signTransaction sendTransactionAsFeePayer \
        signTransactionAsFeePayer getCouncil getCouncilSize getCommittee getCommitteeSize getParams getChainConfig \
        nodeAddress newFilter newBlockFilter newPendingTransactionFilter getFilterChanges getFilterLogs getLogs \
        uninstallFilter subscribe unsubscribe";
    let eth = "blockNumber chainId gasPrice maxPriorityFeePerGas syncing feeHistory getBalance getTransactionCount getCode \
        getStorageAt getProof getBlockByNumber getBlockByHash getBlockTransactionCountByNumber \
        getBlockTransactionCountByHash getBlockReceipts getUncleCountByBlockNumber getUncleCountByBlockHash \
        getTransactionByHash getTransactionByBlockNumberAndIndex getTransactionByBlockHashAndIndex \
        getTransactionReceipt getRawTransactionByHash call estimateGas createAccessList sendRawTransaction \
        sendTransaction signTransaction fillTransaction newFilter newBlockFilter newPendingTransactionFilter \
        getFilterChanges getFilterLogs getLogs uninstallFilter subscribe unsubscribe";
    let all = (kaia.split_whitespace().flat_map(|n| [format!("kaia_{n}"), format!("klay_{n}")]))
        .chain(eth.split_whitespace().map(|n| format!("eth_{n}")))
        .chain("net_version net_networkID net_listening net_peerCount web3_clientVersion web3_sha3 governance_getParams rpc_modules".split(' ').map(str::to_owned));
    let missing: Vec<_> = all.filter(|name| table.find(name).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[tokio::test]
async fn a_server_can_leave_namespaces_out() {
    let table = methods().await.only(&[Namespace::Eth, Namespace::Net]);
    assert!(table.find("eth_chainId").is_some() && table.find("rpc_modules").is_some());
    assert!(table.find("kaia_chainId").is_none() && table.find("personal_sign").is_none());
}
