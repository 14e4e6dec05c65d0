"""A model of a UnionPay JS-pay provider. Real acquirers differ: their specifications are under contract."""
