"""web3.py: reading the chain."""

from web3 import Web3

from common import CHAIN_ID, HTTP, KLAY, check, dev_account, done

w3 = Web3(Web3.HTTPProvider(HTTP))


@check("web3.py reads the network, blocks and accounts")
def _():
    assert w3.is_connected()
    assert w3.eth.chain_id == CHAIN_ID
    assert w3.net.version == str(CHAIN_ID)
    assert w3.client_version
    block = w3.eth.get_block("latest")
    assert w3.eth.get_block(block["hash"])["number"] == block["number"]
    assert w3.eth.get_block(0, full_transactions=True)["number"] == 0
    address = dev_account(9).address
    assert w3.eth.get_balance(address) == 1_000_000 * KLAY
    assert w3.eth.get_transaction_count(address) == 0
    assert w3.eth.get_code(address) == b""
    assert w3.eth.gas_price > 0
    assert w3.eth.max_priority_fee >= 0
    assert len(w3.eth.fee_history(1, "latest", [50])["baseFeePerGas"]) == 2
    assert w3.eth.syncing is False


done()
