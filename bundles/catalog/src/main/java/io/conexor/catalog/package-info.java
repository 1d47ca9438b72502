/** Organisations, agents, data sources, tools and MCP servers. */
@NullMarked
package io.conexor.catalog;

import org.jspecify.annotations.NullMarked;
