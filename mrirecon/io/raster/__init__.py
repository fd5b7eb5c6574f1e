"""Pictures of results: contact sheets, panels, the certificate's page."""
