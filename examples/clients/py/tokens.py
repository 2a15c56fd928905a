"""web3.py: a token, its events by filter and by subscription."""

import asyncio

from eth_account import Account
from web3 import AsyncWeb3, Web3, WebSocketProvider
from web3.exceptions import ContractCustomError

from common import HTTP, WS, check, dev_account, done, token as compiled

w3 = Web3(Web3.HTTPProvider(HTTP))
sender = dev_account(8)
abi, bytecode = compiled()
SUPPLY = 10**24
contract = None


def send(call):
    fields = call.build_transaction(
        {"from": sender.address, "nonce": w3.eth.get_transaction_count(sender.address, "pending")}
    )
    sent = w3.eth.send_raw_transaction(sender.sign_transaction(fields).raw_transaction)
    receipt = w3.eth.wait_for_transaction_receipt(sent, poll_latency=0.1)
    assert receipt["status"] == 1
    return receipt


@check("web3.py deploys a token and reads it")
def _():
    global contract
    receipt = send(w3.eth.contract(abi=abi, bytecode=bytecode).constructor(SUPPLY))
    contract = w3.eth.contract(receipt["contractAddress"], abi=abi)
    assert contract.functions.symbol().call() == "SMP"
    assert contract.functions.balanceOf(sender.address).call() == SUPPLY


@check("web3.py gets the error of a contract")
def _():
    try:
        contract.functions.transfer(sender.address, SUPPLY + 1).call({"from": sender.address})
    except ContractCustomError:
        return
    raise AssertionError("the call did not revert")


@check("web3.py reads a transfer's event from the log and by filter")
def _():
    to = Account.create().address
    watch = contract.events.Transfer.create_filter(from_block="latest", argument_filters={"to": to})
    receipt = send(contract.functions.transfer(to, 5))
    (event,) = watch.get_new_entries()
    assert event["args"]["value"] == 5
    (logged,) = contract.events.Transfer().process_receipt(receipt)
    assert logged["args"]["to"] == to
    (past,) = contract.events.Transfer.get_logs(from_block=receipt["blockNumber"], argument_filters={"to": to})
    assert past["args"]["value"] == 5


@check("web3.py receives a transfer's event by subscription")
def _():
    to = Account.create().address

    async def listen():
        async with AsyncWeb3(WebSocketProvider(WS)) as socket:
            await socket.eth.subscribe("logs", {"address": contract.address})
            await asyncio.to_thread(send, contract.functions.transfer(to, 9))
            async for message in socket.socket.process_subscriptions():
                return message["result"]

    log = asyncio.run(asyncio.wait_for(listen(), 30))
    assert int(log["data"].hex(), 16) == 9


done()
