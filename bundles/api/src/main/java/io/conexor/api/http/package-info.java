/**
 * HTTP and WebSocket routes offered by bundles and served by one listener; no server library shows
 * through.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.api.http;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
