/** Agents as the backends see them: who is attached where, and the links this backend owns. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.agent;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
