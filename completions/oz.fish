# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_oz_global_optspecs
    string join \n context= n/namespace= kubeconfig= as= as-group= as-uid= request-timeout= h/help V/version
end

function __fish_oz_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_oz_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_oz_using_subcommand
    set -l cmd (__fish_oz_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c oz -n "__fish_oz_needs_command" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_needs_command" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_needs_command" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_needs_command" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_needs_command" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_needs_command" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_needs_command" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_needs_command" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_needs_command" -s V -l version -d 'Print version'
complete -c oz -n "__fish_oz_needs_command" -f -a "access-request" -d 'Ask for what a template offers, wait until it is granted, and open a shell'
complete -c oz -n "__fish_oz_needs_command" -f -a "namespace-request" -d 'Ask for namespaces of a class, wait until they are there, and set up the kubeconfig'
complete -c oz -n "__fish_oz_needs_command" -f -a "federation-request" -d 'Let a partner\'s cluster in: a namespace, an account that renews its own token, and what else its class offers'
complete -c oz -n "__fish_oz_needs_command" -f -a "delegate" -d 'Lend what one subject holds to others when triggers are met, and take it back when others are'
complete -c oz -n "__fish_oz_needs_command" -f -a "extend" -d 'Ask to keep namespaces for longer: the same ones, from the approval on'
complete -c oz -n "__fish_oz_needs_command" -f -a "templates" -d 'List what you may ask for'
complete -c oz -n "__fish_oz_needs_command" -f -a "classes" -d 'List the classes of namespaces that you may ask for here'
complete -c oz -n "__fish_oz_needs_command" -f -a "requests" -d 'List requests and how they stand'
complete -c oz -n "__fish_oz_needs_command" -f -a "pending" -d 'List the requests that wait for your decision'
complete -c oz -n "__fish_oz_needs_command" -f -a "grants" -d 'List what is lent now, to whom and until when'
complete -c oz -n "__fish_oz_needs_command" -f -a "describe" -d 'Show a request: who asks, who decided, what is granted, and what can be done next'
complete -c oz -n "__fish_oz_needs_command" -f -a "approve" -d 'Say yes to a request, after seeing what would be granted'
complete -c oz -n "__fish_oz_needs_command" -f -a "deny" -d 'Say no to a request, finally'
complete -c oz -n "__fish_oz_needs_command" -f -a "release" -d 'Give back what you hold, or take back a request; namespaces are deleted'
complete -c oz -n "__fish_oz_needs_command" -f -a "rotate" -d 'Make a partner\'s account anew: its tokens are worth nothing then, and what it made inside is listed'
complete -c oz -n "__fish_oz_needs_command" -f -a "revoke" -d 'Take back what is lent to others, now'
complete -c oz -n "__fish_oz_needs_command" -f -a "shell" -d 'Open a shell, or run a command, under an access that you hold'
complete -c oz -n "__fish_oz_needs_command" -f -a "kubeconfig" -d 'Keep the contexts in your kubeconfig, hand one on, or take one in'
complete -c oz -n "__fish_oz_needs_command" -f -a "token" -d 'Print a token for an access that you hold, as a credential plugin of kubectl does'
complete -c oz -n "__fish_oz_needs_command" -f -a "install" -d 'Install Oz on the cluster, or bring it up to date'
complete -c oz -n "__fish_oz_needs_command" -f -a "uninstall" -d 'End every loan, then take Oz out of the cluster; namespaces that were lent stay'
complete -c oz -n "__fish_oz_needs_command" -f -a "enable" -d 'Let Oz lend in a namespace, or no longer'
complete -c oz -n "__fish_oz_needs_command" -f -a "check" -d 'See whether Oz is whole, in force and working, and what it could hand out'
complete -c oz -n "__fish_oz_needs_command" -f -a "migrate" -d 'Translate what another tool was configured with into templates, classes, requests and delegations'
complete -c oz -n "__fish_oz_needs_command" -f -a "completion" -d 'Print the completion script for a shell'
complete -c oz -n "__fish_oz_needs_command" -f -a "version" -d 'Print the version of this program'
complete -c oz -n "__fish_oz_using_subcommand access-request" -l pod -d 'The pod that is meant, instead of a ready one' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l container -d 'The container that is meant' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -s m -l memory -d 'Memory for the copy of the pod: 128Mi' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -s c -l cpu -d 'Cores for the copy of the pod: 2, 500m' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l node -d 'The node for the copy of a DaemonSet\'s pod' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l image -d 'The image of the debugging container, one that the template offers' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l duration -d 'For how long, from the approval on: 45m, 1h30m, 2d' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l reason -d 'Why, for those who decide and those who read later' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l wait -d 'Wait for this and stop there, without a shell' -r -f -a "none\t'Once it is asked for'
approved\t'Once enough people agreed'
ready\t'Once it can be used'"
complete -c oz -n "__fish_oz_using_subcommand access-request" -l timeout -d 'How long to wait' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -s o -l output -d 'Print the request in this form, and open no shell' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand access-request" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand access-request" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand access-request" -l keep -d 'Leave the request when the waiting is broken off'
complete -c oz -n "__fish_oz_using_subcommand access-request" -l rm -d 'End the access on leaving the shell'
complete -c oz -n "__fish_oz_using_subcommand access-request" -l no-kubeconfig -d 'Leave the kubeconfig alone'
complete -c oz -n "__fish_oz_using_subcommand access-request" -l use-context -d 'Make the access the kubeconfig\'s current context'
complete -c oz -n "__fish_oz_using_subcommand access-request" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l class -d 'The class; chosen from a list when left out' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l owner -d 'Who owns them, too: User/NAME, Group/NAME or ServiceAccount/NAMESPACE:NAME; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l credential -d 'By what you own them: session, requester (your own name), or of:REQUEST (the session of another request of yours)' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l duration -d 'For how long, from the approval on: 45m, 8h, 2d' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l reason -d 'Why, for those who decide and those who read later' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l wait -d 'Wait for this and stop there' -r -f -a "none\t'Once it is asked for'
approved\t'Once enough people agreed'
ready\t'Once it can be used'"
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l timeout -d 'How long to wait' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -s o -l output -d 'Print the request in this form' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l keep -d 'Leave the request when the waiting is broken off'
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l no-kubeconfig -d 'Leave the kubeconfig alone'
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -l use-context -d 'Make the access the kubeconfig\'s current context'
complete -c oz -n "__fish_oz_using_subcommand namespace-request" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l class -d 'The class' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l organization -d 'Whose partner it is' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l cluster -d 'What its cluster is called over there, unless it is NAME' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l first -d 'What its first namespace is to be called, unless it is NAME' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l further -d 'How many more it may have, by asking in the first one' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l cluster-role -d 'The ClusterRole by which it reads in the whole cluster' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l duration -d 'For how long, from the approval on: 90d, 365d' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l reason -d 'Why, for those who decide and those who read later' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l wait -d 'Wait for this and stop there' -r -f -a "none\t'Once it is asked for'
approved\t'Once enough people agreed'
ready\t'Once it can be used'"
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l timeout -d 'How long to wait' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -s o -l output -d 'Print the request in this form' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand federation-request" -l keep -d 'Leave the request when the waiting is broken off'
complete -c oz -n "__fish_oz_using_subcommand federation-request" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand delegate" -l from -d 'Whose rights: role/NAME, clusterrole/NAME, sa/[NAMESPACE:]NAME, user/NAME, group/NAME' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l to -d 'To whom: sa/[NAMESPACE:]NAME, where * stands for anything, user/NAME, group/NAME; more than once' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l when -d 'What must come about for it to begin; more than once: all of it' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l until -d 'What must come about, after it has begun, for it to end; more than once: all of it' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l repeat -d 'How many times: a number, or forever' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l scope -d 'Also where the origin\'s rights hold in the whole cluster' -r -f -a "namespace\t'In this namespace'
cluster\t'In the whole cluster as well'"
complete -c oz -n "__fish_oz_using_subcommand delegate" -l time-zone -d 'The zone of times of day and of cron: Europe/Berlin. UTC where none is given' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l reason -d 'Why, for those who read it later' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -s o -l output -d 'Print the delegation in this form' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand delegate" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand delegate" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand delegate" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand extend" -l duration -d 'For how long, from the approval on: 45m, 8h, 2d' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -l reason -d 'Why, instead of the reason given at first' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -l wait -d 'Wait for this and stop there' -r -f -a "none\t'Once it is asked for'
approved\t'Once enough people agreed'
ready\t'Once it can be used'"
complete -c oz -n "__fish_oz_using_subcommand extend" -l timeout -d 'How long to wait' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -s o -l output -d 'Print the request in this form' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand extend" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand extend" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand extend" -l keep -d 'Leave the request when the waiting is broken off'
complete -c oz -n "__fish_oz_using_subcommand extend" -l no-kubeconfig -d 'Leave the kubeconfig alone'
complete -c oz -n "__fish_oz_using_subcommand extend" -l use-context -d 'Make the access the kubeconfig\'s current context'
complete -c oz -n "__fish_oz_using_subcommand extend" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand templates" -s l -l selector -d 'Only what carries these labels: a=b,c!=d' -r
complete -c oz -n "__fish_oz_using_subcommand templates" -s o -l output -d 'How to print it' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand templates" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand templates" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand templates" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand templates" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand templates" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand templates" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand templates" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand templates" -s A -l all-namespaces -d 'In all namespaces'
complete -c oz -n "__fish_oz_using_subcommand templates" -s w -l watch -d 'Go on, and print what changes'
complete -c oz -n "__fish_oz_using_subcommand templates" -l all -d 'Also those that you may not ask for'
complete -c oz -n "__fish_oz_using_subcommand templates" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand classes" -s l -l selector -d 'Only what carries these labels: a=b,c!=d' -r
complete -c oz -n "__fish_oz_using_subcommand classes" -s o -l output -d 'How to print it' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand classes" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand classes" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand classes" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand classes" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand classes" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand classes" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand classes" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand classes" -s A -l all-namespaces -d 'In all namespaces'
complete -c oz -n "__fish_oz_using_subcommand classes" -s w -l watch -d 'Go on, and print what changes'
complete -c oz -n "__fish_oz_using_subcommand classes" -l all -d 'Also those that you may not ask for in this namespace'
complete -c oz -n "__fish_oz_using_subcommand classes" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand requests" -s l -l selector -d 'Only what carries these labels: a=b,c!=d' -r
complete -c oz -n "__fish_oz_using_subcommand requests" -s o -l output -d 'How to print it' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand requests" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand requests" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand requests" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand requests" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand requests" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand requests" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand requests" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand requests" -s A -l all-namespaces -d 'In all namespaces'
complete -c oz -n "__fish_oz_using_subcommand requests" -s w -l watch -d 'Go on, and print what changes'
complete -c oz -n "__fish_oz_using_subcommand requests" -l mine -d 'Only your own'
complete -c oz -n "__fish_oz_using_subcommand requests" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand pending" -s l -l selector -d 'Only what carries these labels: a=b,c!=d' -r
complete -c oz -n "__fish_oz_using_subcommand pending" -s o -l output -d 'How to print it' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand pending" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand pending" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand pending" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand pending" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand pending" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand pending" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand pending" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand pending" -s A -l all-namespaces -d 'In all namespaces'
complete -c oz -n "__fish_oz_using_subcommand pending" -s w -l watch -d 'Go on, and print what changes'
complete -c oz -n "__fish_oz_using_subcommand pending" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand grants" -s l -l selector -d 'Only what carries these labels: a=b,c!=d' -r
complete -c oz -n "__fish_oz_using_subcommand grants" -s o -l output -d 'How to print it' -r -f -a "table\t'For people'
wide\t'For people, with more columns'
json\t'The API objects'
yaml\t'The API objects'
name\t'Kind and name alone'"
complete -c oz -n "__fish_oz_using_subcommand grants" -l user -d 'Only what this user holds' -r
complete -c oz -n "__fish_oz_using_subcommand grants" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand grants" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand grants" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand grants" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand grants" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand grants" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand grants" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand grants" -s A -l all-namespaces -d 'In all namespaces'
complete -c oz -n "__fish_oz_using_subcommand grants" -s w -l watch -d 'Go on, and print what changes'
complete -c oz -n "__fish_oz_using_subcommand grants" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand describe" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand describe" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand describe" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand describe" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand describe" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand describe" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand describe" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand describe" -l pod -d 'Print as YAML the pod, or the debugging container, that would be made for it'
complete -c oz -n "__fish_oz_using_subcommand describe" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand approve" -l reason -d 'Why, for those who read it later' -r
complete -c oz -n "__fish_oz_using_subcommand approve" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand approve" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand approve" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand approve" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand approve" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand approve" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand approve" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand approve" -s y -l yes -d 'Do not ask'
complete -c oz -n "__fish_oz_using_subcommand approve" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand deny" -l reason -d 'Why, for who asked' -r
complete -c oz -n "__fish_oz_using_subcommand deny" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand deny" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand deny" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand deny" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand deny" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand deny" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand deny" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand deny" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand release" -l reason -d 'Why, for those who read it later' -r
complete -c oz -n "__fish_oz_using_subcommand release" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand release" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand release" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand release" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand release" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand release" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand release" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand release" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand rotate" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand rotate" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand rotate" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand rotate" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand rotate" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand rotate" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand rotate" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand rotate" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand revoke" -l user -d 'All that this user holds or waits for' -r
complete -c oz -n "__fish_oz_using_subcommand revoke" -l reason -d 'Why, for those who read it later' -r
complete -c oz -n "__fish_oz_using_subcommand revoke" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand revoke" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand revoke" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand revoke" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand revoke" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand revoke" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand revoke" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand revoke" -s A -l all-namespaces -d 'In all namespaces'
complete -c oz -n "__fish_oz_using_subcommand revoke" -l verify -d 'Wait until everything is taken back, and prove it'
complete -c oz -n "__fish_oz_using_subcommand revoke" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand shell" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand shell" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand shell" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand shell" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand shell" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand shell" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand shell" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand shell" -l rm -d 'End the access on leaving the shell'
complete -c oz -n "__fish_oz_using_subcommand shell" -l no-kubeconfig -d 'Leave the kubeconfig alone'
complete -c oz -n "__fish_oz_using_subcommand shell" -l use-context -d 'Make the access the kubeconfig\'s current context'
complete -c oz -n "__fish_oz_using_subcommand shell" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -f -a "update" -d 'Write a context with a fresh token for each access that you hold, and remove those that have ended'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -f -a "prune" -d 'Remove the contexts of accesses that have ended; what is not Oz\'s is never touched'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -f -a "export" -d 'Print a kubeconfig that holds a token for an access of yours, and nothing else of you'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and not __fish_seen_subcommand_from update prune export import" -f -a "import" -d 'Take a token, its server and its certificate authority out of a kubeconfig that you were given'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -s A -l all-namespaces -d 'In all namespaces'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from update" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from prune" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from prune" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from prune" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from prune" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from prune" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from prune" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from prune" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from prune" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -l server -d 'The server\'s address for whoever gets it, instead of your own context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from export" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from import" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from import" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from import" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from import" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from import" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from import" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from import" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand kubeconfig; and __fish_seen_subcommand_from import" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand token" -l self -d 'An account that mints its own next token, as `oz kubeconfig import` takes in' -r
complete -c oz -n "__fish_oz_using_subcommand token" -l uid -d 'The request\'s uid: another one of the same name is not meant' -r
complete -c oz -n "__fish_oz_using_subcommand token" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand token" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand token" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand token" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand token" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand token" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand token" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand token" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand install" -l image -d 'The controller\'s image, as the nodes pull it. Default: the one that is installed, or oz-controller:VERSION' -r
complete -c oz -n "__fish_oz_using_subcommand install" -l audience -d 'What the API server takes tokens for; may be repeated. Default: it is asked' -r
complete -c oz -n "__fish_oz_using_subcommand install" -l replicas -d 'How many controllers run; one works. Default: as many as are installed, or 2' -r
complete -c oz -n "__fish_oz_using_subcommand install" -s o -l output -d 'How --dry-run prints it' -r -f -a "yaml\t'Documents to apply from the first to the last'
json\t'A List'
name\t'Kind and name of each'"
complete -c oz -n "__fish_oz_using_subcommand install" -l timeout -d 'How long the controller may take to run' -r
complete -c oz -n "__fish_oz_using_subcommand install" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand install" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand install" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand install" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand install" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand install" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand install" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand install" -l fill-requester -d 'Also fill in who asks, for those who ask with kubectl alone (Kubernetes 1.36 or newer). Stays until `kubectl delete -k manifests/admission-fill`'
complete -c oz -n "__fish_oz_using_subcommand install" -l dry-run -d 'Print what would be applied, in this order, and change nothing'
complete -c oz -n "__fish_oz_using_subcommand install" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand uninstall" -l timeout -d 'How long all of it may take' -r
complete -c oz -n "__fish_oz_using_subcommand uninstall" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand uninstall" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand uninstall" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand uninstall" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand uninstall" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand uninstall" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand uninstall" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand uninstall" -s y -l yes -d 'Do not ask'
complete -c oz -n "__fish_oz_using_subcommand uninstall" -l keep-crds -d 'Leave the kinds, and so all templates and requests, for a later install'
complete -c oz -n "__fish_oz_using_subcommand uninstall" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand enable" -l delegations -d 'Let Oz delegate there, or, where no namespace is named, in the whole cluster; with --disable, this alone no longer' -r -f -a "none\t'Nothing more'
secrets\t'Secrets: it can then read them'"
complete -c oz -n "__fish_oz_using_subcommand enable" -s o -l output -d 'How to print the list' -r -f -a "table\t'For people'
json\t'For programs'
name\t'The names alone'"
complete -c oz -n "__fish_oz_using_subcommand enable" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand enable" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand enable" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand enable" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand enable" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand enable" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand enable" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand enable" -l namespaces -d 'Let Oz make namespaces, and delete those that it made; with --disable, no longer'
complete -c oz -n "__fish_oz_using_subcommand enable" -l federations -d 'Let Oz let partners\' clusters in, and bind what they read by in the whole cluster; with --disable, no longer'
complete -c oz -n "__fish_oz_using_subcommand enable" -l disable -d 'No longer: end what is lent there, then take the controller\'s rights away'
complete -c oz -n "__fish_oz_using_subcommand enable" -l bind-requester -d 'Also let templates with `identity: Requester` bind people by their own names; with --disable, this alone no longer'
complete -c oz -n "__fish_oz_using_subcommand enable" -l list -d 'Show where Oz may lend'
complete -c oz -n "__fish_oz_using_subcommand enable" -s y -l yes -d 'With --disable: do not ask'
complete -c oz -n "__fish_oz_using_subcommand enable" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand check" -s o -l output -d 'How to print it' -r -f -a "table\t'For people'
wide\t'For people, with a line for each object'
json\t'For programs'"
complete -c oz -n "__fish_oz_using_subcommand check" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand check" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand check" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand check" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand check" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand check" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand check" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -f -a "oz" -d 'From the Go tool "Oz" (crds.wizardofoz.co): PodAccessTemplate and ExecAccessTemplate'
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -f -a "federation-controller" -d 'From the federation-controller (slateci.io, nrp-nautilus.io): Cluster and ClusterNS'
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -f -a "nsplease" -d 'From nsplease: its Deployment, and the ConfigMaps that were its requests'
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -f -a "dispatch" -d 'From dispatch (netsys.io): DispatchUser and OwnedNamespace'
complete -c oz -n "__fish_oz_using_subcommand migrate; and not __fish_seen_subcommand_from oz federation-controller nsplease dispatch subject-access-delegation" -f -a "subject-access-delegation" -d 'From subject-access-delegation (authz.k8s.io): SubjectAccessDelegation'
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from oz" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from oz" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from oz" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from oz" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from oz" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from oz" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from oz" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from oz" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -l requester -d 'Who will ask, as the cluster knows him: what `kubectl auth whoami -o yaml` prints. Else that is left out' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -l only -d 'Print nothing else: what may be asked for has to be there before it is asked for' -r -f -a "policy\t'The class, and what it needs'
requests\t'What is asked for'"
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from federation-controller" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from nsplease" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from nsplease" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from nsplease" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from nsplease" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from nsplease" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from nsplease" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from nsplease" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from nsplease" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -l requester -d 'Who will ask, as the cluster knows him: what `kubectl auth whoami -o yaml` prints. Else that is left out' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -l only -d 'Print nothing else: what may be asked for has to be there before it is asked for' -r -f -a "policy\t'The class, and what it needs'
requests\t'What is asked for'"
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from dispatch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -l requester -d 'Who will ask, as the cluster knows him: what `kubectl auth whoami -o yaml` prints. Else that is left out' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand migrate; and __fish_seen_subcommand_from subject-access-delegation" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c oz -n "__fish_oz_using_subcommand completion" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand completion" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand completion" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand completion" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand completion" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand completion" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand completion" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand completion" -l static -d 'Commands and flags only, without the names in the cluster'
complete -c oz -n "__fish_oz_using_subcommand completion" -s h -l help -d 'Print help'
complete -c oz -n "__fish_oz_using_subcommand version" -l context -d 'The kubeconfig\'s context to use' -r
complete -c oz -n "__fish_oz_using_subcommand version" -s n -l namespace -d 'The namespace, instead of the context\'s' -r
complete -c oz -n "__fish_oz_using_subcommand version" -l kubeconfig -d 'The kubeconfig file' -r -F
complete -c oz -n "__fish_oz_using_subcommand version" -l as -d 'Act as this user' -r
complete -c oz -n "__fish_oz_using_subcommand version" -l as-group -d 'Act in this group; may be repeated' -r
complete -c oz -n "__fish_oz_using_subcommand version" -l as-uid -d 'Act with this uid' -r
complete -c oz -n "__fish_oz_using_subcommand version" -l request-timeout -d 'How long one request to the API server may take: 30s, 1m, or 0 for no limit' -r
complete -c oz -n "__fish_oz_using_subcommand version" -s h -l help -d 'Print help'
