"""Every table's contract, by name. Nothing here imports torch."""

from ml.contracts.behaviour import MART_TABLES, RAW_TABLES
from ml.contracts.contract import Column, TableContract, check_no_leakage, partition_name
from ml.contracts.meaning import MEANING_TABLES
from ml.contracts.outputs import FEATURE_TABLES, MONITORING_TABLES, OUTPUT_TABLES

CONTRACTS: dict[str, TableContract] = {
    contract.name: contract
    for contract in (*RAW_TABLES, *MART_TABLES, *MEANING_TABLES, *OUTPUT_TABLES, *FEATURE_TABLES, *MONITORING_TABLES)
}

__all__ = ["CONTRACTS", "Column", "TableContract", "check_no_leakage", "partition_name"]
