/** Who is asking, and what they may do: keys, passwords, sessions, roles, signed tokens. */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.access;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
