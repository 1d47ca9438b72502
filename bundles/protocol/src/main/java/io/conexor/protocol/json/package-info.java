/**
 * JSON as bounded trees and as escaped bytes. What the SignalR JSON protocol and the JSON edges
 * share.
 */
@Export
@Version("1.0.0")
@NullMarked
package io.conexor.protocol.json;

import org.jspecify.annotations.NullMarked;
import org.osgi.annotation.bundle.Export;
import org.osgi.annotation.versioning.Version;
