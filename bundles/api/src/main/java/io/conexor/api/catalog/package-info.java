/** What an organisation owns: agents, data sources, tools and MCP servers. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.catalog;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
