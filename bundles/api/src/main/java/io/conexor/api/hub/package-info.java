/**
 * Hubs that people's and programs' clients speak to in real time (SignalR): what a hub is, whom it
 * can reach, and where connections wait to be resumed. See docs/failure-semantics.md#hub-clients.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.hub;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
