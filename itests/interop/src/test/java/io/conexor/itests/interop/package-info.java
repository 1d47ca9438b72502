/** The whole product as its users meet it: real processes, a real PostgreSQL, real clients. */
package io.conexor.itests.interop;
