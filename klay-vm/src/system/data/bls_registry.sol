// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.24;

/// BLS keys of those who propose (KIP-113). Its owner writes them; who proposes is voted on, not decided here.
///
/// Functions, events and the places in storage are those by which the public networks' contract is known. That one asks
/// the AddressBook besides, which a chain without stakes does not have.
///
/// solc 0.8.24, optimizer with 200 runs, EVM istanbul, no metadata.
contract BlsRegistry {
    struct BlsPublicKeyInfo {
        bytes publicKey;
        bytes pop;
    }

    uint256[151] private gapBelow;
    address public owner; // 151
    uint256[49] private gapAbove;
    address[] public allNodeIds; // 201
    mapping(address => BlsPublicKeyInfo) public record; // 202

    event Registered(address cnNodeId, bytes publicKey, bytes pop);
    event Unregistered(address cnNodeId, bytes publicKey, bytes pop);
    event OwnershipTransferred(address indexed previousOwner, address indexed newOwner);

    modifier onlyOwner() {
        require(msg.sender == owner, "not the owner");
        _;
    }

    function register(address cnNodeId, bytes calldata publicKey, bytes calldata pop) external onlyOwner {
        require(publicKey.length == 48, "a public key has 48 bytes");
        require(pop.length == 96, "a proof has 96 bytes");
        if (record[cnNodeId].publicKey.length == 0) {
            allNodeIds.push(cnNodeId);
        }
        record[cnNodeId] = BlsPublicKeyInfo(publicKey, pop);
        emit Registered(cnNodeId, publicKey, pop);
    }

    function unregister(address cnNodeId) external onlyOwner {
        BlsPublicKeyInfo memory info = record[cnNodeId];
        require(info.publicKey.length != 0, "not registered");
        uint256 last = allNodeIds.length - 1;
        for (uint256 i = 0; i <= last; i++) {
            if (allNodeIds[i] == cnNodeId) {
                allNodeIds[i] = allNodeIds[last];
                allNodeIds.pop();
                break;
            }
        }
        delete record[cnNodeId];
        emit Unregistered(cnNodeId, info.publicKey, info.pop);
    }

    function transferOwnership(address newOwner) external onlyOwner {
        require(newOwner != address(0), "nobody");
        emit OwnershipTransferred(owner, newOwner);
        owner = newOwner;
    }

    function getAllBlsInfo() external view returns (address[] memory nodeIdList, BlsPublicKeyInfo[] memory pubkeyList) {
        nodeIdList = allNodeIds;
        pubkeyList = new BlsPublicKeyInfo[](nodeIdList.length);
        for (uint256 i = 0; i < nodeIdList.length; i++) {
            pubkeyList[i] = record[nodeIdList[i]];
        }
    }
}
