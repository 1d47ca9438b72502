/** The face towards MCP clients. */
@NullMarked
package io.conexor.mcp;

import org.jspecify.annotations.NullMarked;
