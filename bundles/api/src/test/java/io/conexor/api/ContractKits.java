package io.conexor.api;

/** Marks the test-jar that carries the contract kits. */
interface ContractKits {}
