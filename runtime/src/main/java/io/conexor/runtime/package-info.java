/**
 * Starts Felix, reads features and configuration, and holds no business code.
 *
 * <pre>
 *  features/*.json --> FeatureFiles --> Composition --+
 *  bundles/        --> BundleDirectory ---------------+--> Launch --> Felix --> Readiness
 *  conexor.properties, environment --> Configurations-+                |
 *  bundles' metatype --> ConfigurationKeys -----------+                +--> Drain on SIGTERM
 * </pre>
 *
 * <p>The launcher shares no class with the bundles except what it exports from the system bundle:
 * SLF4J and the OSGi service APIs. Whatever else it needs from them it asks for in JDK types.
 */
@NullMarked
package io.conexor.runtime;

import org.jspecify.annotations.NullMarked;
