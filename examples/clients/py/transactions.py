"""web3.py: legacy and typed transactions of Ethereum."""

from eth_account import Account
from web3 import Web3

from common import CHAIN_ID, HTTP, KLAY, check, dev_account, done

w3 = Web3(Web3.HTTPProvider(HTTP))
sender = dev_account(8)


def send(fields, signer=sender):
    filled = {
        "chainId": CHAIN_ID,
        "nonce": w3.eth.get_transaction_count(signer.address, "pending"),
        "gas": 200_000,
        **fields,
    }
    sent = w3.eth.send_raw_transaction(signer.sign_transaction(filled).raw_transaction)
    return w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.1)


def transfers(name, number, fields):
    @check(f"web3.py sends {name}")
    def _():
        to = Account.create().address
        before = w3.eth.get_balance(sender.address)
        receipt = send({"to": to, "value": KLAY, **fields})
        assert receipt["status"] == 1
        assert receipt["type"] == number
        fee = receipt["gasUsed"] * receipt["effectiveGasPrice"]
        assert w3.eth.get_balance(to) == KLAY
        assert w3.eth.get_balance(sender.address) == before - KLAY - fee
        assert w3.eth.get_transaction(receipt["transactionHash"])["type"] == number
        assert w3.eth.get_raw_transaction(receipt["transactionHash"])


price = w3.eth.gas_price
keys = [{"address": sender.address, "storageKeys": ["0x" + "01" * 32]}]
transfers("TxTypeLegacyTransaction", 0, {"gasPrice": price})
transfers("TxTypeEthereumAccessList", 1, {"gasPrice": price, "accessList": keys})
transfers("TxTypeEthereumDynamicFee", 2, {"maxFeePerGas": 2 * price, "maxPriorityFeePerGas": 1})


@check("web3.py sends TxTypeEthereumSetCode")
def _():
    authority = Account.create()
    authorization = authority.sign_authorization({"chainId": CHAIN_ID, "address": "0x" + "56" * 20, "nonce": 0})
    receipt = send(
        {
            "to": authority.address,
            "value": 0,
            "maxFeePerGas": 2 * price,
            "maxPriorityFeePerGas": 1,
            "authorizationList": [authorization],
        }
    )
    assert receipt["status"] == 1
    assert w3.eth.get_code(authority.address).hex() == "ef0100" + "56" * 20


done()
